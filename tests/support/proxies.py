"""Real reverse proxies in front of an API, with the files of deploy/proxies or with their defaults."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.ports import HOST, Ports

ROOT = Path(__file__).parents[2]
_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""


def find_proxy(name: str) -> str:
    """The proxy's executable. Without it the test is skipped, in CI it fails."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"no {name}: on Debian and Ubuntu, apt install {name}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def running_nginx(folder: Path, http: str, *, ports: list[int]) -> Iterator[None]:
    """nginx with this content of its `http` block. Listens on *ports*."""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, http=http))
    with _running(
        [find_proxy("nginx"), "-p", str(folder), "-c", str(config), "-e", "stderr"], folder, ports=ports
    ):
        yield


@contextmanager
def running_haproxy(folder: Path, config: str, *, ports: list[int]) -> Iterator[None]:
    """HAProxy with this configuration. Listens on *ports*."""
    path = folder / "haproxy.cfg"
    path.write_text(config)
    with _running([find_proxy("haproxy"), "-db", "-f", str(path)], folder, ports=ports):
        yield


@contextmanager
def running_caddy(folder: Path, config: str, *, ports: list[int]) -> Iterator[None]:
    """Caddy with this Caddyfile. Listens on *ports*."""
    path = folder / "Caddyfile"
    path.write_text(config)
    with _running([find_proxy("caddy"), "run", "--config", str(path)], folder, ports=ports):
        yield


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports for the proxy to listen on."""
    ports = Ports(count, preferred=None)
    numbers = list(ports.numbers)
    ports.release()
    yield numbers


@contextmanager
def _running(command: list[str], folder: Path, *, ports: list[int]) -> Iterator[None]:
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (
        (folder / "proxy.log").open("wb") as log,
        subprocess.Popen(command, stderr=log, stdout=log, env=os.environ | home) as proxy,
    ):
        try:
            for port in ports:
                _wait_for(port, proxy, folder / "proxy.log")
            yield
        finally:
            proxy.terminate()
            try:
                proxy.wait(timeout=10)
            except subprocess.TimeoutExpired:
                proxy.kill()


def _wait_for(port: int, proxy: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if proxy.poll() is not None or time.monotonic() > deadline:
                proxy.kill()
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
