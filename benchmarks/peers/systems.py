"""Starts, asks, measures and stops one system: Kammerton, or one of endpoints.py."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.costs import cpu_seconds
from tests.support.memory_cgroup import memory_cgroup
from tests.support.servers import running_s3, running_valkey

ROOT = Path(__file__).parents[2]
_FINAL = {"succeeded", "failed", "dead", "canceled"}
_BLOCK_BYTES = 1 << 20
_START_SECONDS = 120
_ANSWER_SECONDS = 900
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """One song from upload to result."""

    succeeded: bool
    seconds: float


class System:
    """A system that answers on a port of this machine.

    `kammerton` does two jobs at once, `kammerton-one-child` one, `kammerton-small` is `make run ARGS=--small`
    with Redis and S3 elsewhere, which are not measured. `first_minute` and `whole_file` are of endpoints.py.
    """

    def __init__(self, name: str, *, limit_bytes: int = 0) -> None:
        """Start it, in a memory control group if there is a limit, and wait until it serves."""
        self.name = name
        self._opened = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="kammerton-bench-"))
        self._opened.callback(shutil.rmtree, self._folder, ignore_errors=True)
        with ExitStack() as stack:
            stack.callback(self._opened.close)
            elsewhere = self._servers() if name == "kammerton-small" else {}
            self._group = self._opened.enter_context(memory_cgroup(limit_bytes)) if limit_bytes else None
            self._process = subprocess.Popen(
                [*(self._group.join if self._group else ()), sys.executable, *self._command()],
                cwd=ROOT,
                env=os.environ
                | {"KAMMERTON_REUSE_REPORTS": "false", "OPENBLAS_NUM_THREADS": "1"}
                | elsewhere,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._opened.callback(self._stop_process)
            self._wait_until_ready()
            stack.pop_all()

    @property
    def _is_kammerton(self) -> bool:
        return self.name.startswith("kammerton")

    def _servers(self) -> dict[str, str]:
        valkey = self._opened.enter_context(running_valkey())
        s3 = self._opened.enter_context(running_s3())
        return {
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "KAMMERTON_REDIS_URL": valkey.url,
            "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
            "KAMMERTON_S3_REGION": s3.region,
        }

    def _command(self) -> list[str]:
        if self._is_kammerton:
            children = "1" if self.name.endswith("one-child") else "2"
            size = ["--small"] if self.name.endswith("small") else ["--workers", children]
            return ["-m", "local", "--port", "0", "--data-dir", str(self._folder / "data"), *size]
        self.port = _free_port()
        app = f"benchmarks.peers.endpoints:{self.name}"
        return ["-m", "uvicorn", app, "--port", str(self.port), "--log-level", "warning"]

    def _wait_until_ready(self) -> None:
        if self._is_kammerton:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.startswith("ready "):
                raise RuntimeError(f"{self.name} did not start.")
            self.port = int(line.rpartition(":")[2])
            return
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start.")

    def _processes(self) -> list[psutil.Process]:
        launcher = psutil.Process(self._process.pid)
        return [launcher, *launcher.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time of all processes, with those that have ended."""
        return sum(map(cpu_seconds, self._processes()))

    def pss_bytes(self) -> int:
        """Memory of all processes; what they share counts once."""
        total = 0
        for process in self._processes():
            with suppress(psutil.Error):  # it ended meanwhile
                total += process.memory_full_info().pss
        return total

    def killed(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return self._group.killed() if self._group else 0

    def ask(self, song: Path) -> Answer:
        """Upload a song, with other bytes each time, and wait for its result. An error is no success."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            succeeded = self._submit(connection, song)
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            succeeded = False
        finally:
            connection.close()
        return Answer(succeeded, time.monotonic() - started)

    def _submit(self, connection: http.client.HTTPConnection, song: Path) -> bool:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(_size(song))}
        path = f"/v1/jobs?filename={song.name}" if self._is_kammerton else "/upload"
        found = _exchange(connection, "POST", path, body=_blocks(song), headers=headers)
        if not self._is_kammerton:
            return "dominant_hz" in found
        while found["state"] not in _FINAL:
            found = _exchange(connection, "GET", f"/v1/jobs/{found['id']}?wait=30")
        return bool(found["state"] == "succeeded")

    def stop(self) -> None:
        """Stop it and remove its data."""
        self._opened.close()

    def _stop_process(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_TAIL_BYTES = 16
"""Random bytes after a song, which make it another upload."""


def _size(song: Path) -> int:
    return song.stat().st_size + _TAIL_BYTES


def _blocks(song: Path) -> Iterator[bytes]:
    with song.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
    yield os.urandom(_TAIL_BYTES)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, **options: Any
) -> dict[str, Any]:
    connection.request(method, path, **options)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
