"""Real nginx, HAProxy and Caddy in front of the API: with the files that we ship, and with their defaults."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from tests.support.api_process import Api, running_api
from tests.support.proxies import ROOT, free_ports, running_caddy, running_haproxy, running_nginx
from tests.support.servers import S3Server, ValkeyServer

MIB = 1024 * 1024
WAV = b"RIFF\xff\xff\xff\x7fWAVEfmt "
NOT_AUDIO = b"%PDF-1.7"
KINDS = ["nginx", "haproxy", "caddy"]
SEND = ("-H", "Content-Type: audio/wav", "-H", "Expect:", "--data-binary", "@-")


@dataclass
class Proxy:
    url: str
    ca: Path

    def curl(
        self, path: str, *options: str, body: bytes | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        command = ["curl", "--silent", "--show-error", "--cacert", str(self.ca), "--max-time", "60", *options]
        return subprocess.run([*command, self.url + path], input=body, capture_output=True, check=False)

    def status(
        self, path: str, *options: str, body: bytes | None = None, content_may_be_lost: bool = False
    ) -> tuple[str, str]:
        """HTTP version and status. A refusal is one of Kammerton's."""
        done = self.curl(path, "-w", "\n%{http_version} %{http_code}", *options, body=body)
        content, _, line = done.stdout.rpartition(b"\n")
        version, status = line.decode().split()
        is_lost = content_may_be_lost and not content
        assert int(status) < 400 or is_lost or b"urn:kammerton:problem:" in content, (content, done.stderr)
        return version, status


@pytest.fixture(scope="module")
def upstream(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    settings = {"KAMMERTON_MAX_UPLOAD_BYTES": str(16 * MIB), "KAMMERTON_TRUSTED_PROXIES": "127.0.0.1"}
    with running_api(valkey, s3, **settings) as api:
        yield api


@pytest.fixture(scope="module", params=KINDS)
def shipped(
    request: pytest.FixtureRequest, upstream: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """The file of deploy/proxies, with other names and ports."""
    folder = tmp_path_factory.mktemp(request.param)
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    (folder / "cert.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    (folder / "both.pem").write_bytes(chain + certificate.private_key_pem.bytes())
    with ExitStack() as stack:
        https, http = stack.enter_context(free_ports(2))
        changes = {
            "127.0.0.1:8000": f"127.0.0.1:{upstream.port}",
            "/etc/ssl/kammerton.example.org.pem": f"{folder}/cert.pem",
            "/etc/ssl/kammerton.example.org.key": f"{folder}/key.pem",
            "/etc/ssl/kammerton.example.org.both.pem": f"{folder}/both.pem",
            "kammerton.example.org {": (
                f"{{\n\tadmin off\n\thttp_port {http}\n\thttps_port {https}\n}}\n"
                f"kammerton.example.org {{\n\ttls {folder}/cert.pem {folder}/key.pem"
            ),
            "kammerton.example.org": "localhost",
            "listen 443": f"listen {https}",
            "listen 80": f"listen {http}",
            "bind :443": f"bind :{https}",
            "bind :80": f"bind :{http}",
        }
        name = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}[request.param]
        text = (ROOT / "deploy/proxies" / name).read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        start = {"nginx": running_nginx, "haproxy": running_haproxy, "caddy": running_caddy}[request.param]
        stack.enter_context(start(folder, text, ports=[https, http]))
        yield Proxy(f"https://localhost:{https}", folder / "ca.pem")


def test_the_page_and_the_api_come_over_http2(shipped: Proxy) -> None:
    assert shipped.status("/", "--http2") == ("2", "200")
    assert shipped.status("/healthz", "--http1.1", "--head") == ("1.1", "200")


def test_an_upload_becomes_a_job_with_links_to_the_public_address(shipped: Proxy) -> None:
    for version in ("--http2", "--http1.1"):
        done = shipped.curl("/v1/jobs", version, *SEND, "-D", "-", body=WAV + bytes(6 * MIB))
        head, _, body = done.stdout.rpartition(b"\r\n\r\n")
        assert b" 202" in head, done.stdout
        job = json.loads(body)
        assert job["input"]["bytes"] == len(WAV) + 6 * MIB


def test_the_dashboards_cookie_would_be_secure(shipped: Proxy) -> None:
    head = shipped.curl("/", "--http1.1", "-D", "-", "--output", "/dev/null").stdout.decode().lower()
    assert "strict-transport-security" in head


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_a_refusal_in_the_middle_of_an_upload_arrives(
    shipped: Proxy, version: str, request: pytest.FixtureRequest
) -> None:
    bad_key = ("-H", "Authorization: Bearer kam_000000000000_" + "0" * 64)
    for expected, key, body in (
        ("415", (), NOT_AUDIO + bytes(12 * MIB)),
        ("413", (), WAV + bytes(32 * MIB)),
        ("401", bad_key, WAV + bytes(32 * MIB)),
    ):
        options = (version, *SEND, *key)
        # HAProxy 2.6 may reset an HTTP/2 stream right after the status of a refusal
        lost = version == "--http2" and "haproxy" in request.node.name
        assert shipped.status("/v1/jobs", *options, body=body, content_may_be_lost=lost)[1] == expected


def test_events_arrive_at_once(shipped: Proxy) -> None:
    job = json.loads(shipped.curl("/v1/jobs", *SEND, body=WAV + bytes(100)).stdout)
    at = urlsplit(shipped.url)
    context = ssl.create_default_context(cafile=str(shipped.ca))
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((at.hostname, at.port), timeout=60))
        connected = stack.enter_context(context.wrap_socket(plain, server_hostname=at.hostname))
        connected.sendall(f"GET /v1/events?job={job['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"event: state" not in received:  # the stream stays open, since no worker takes the job
            received += connected.recv(4096)


DEFAULTS = {
    "nginx": (
        "server {{ listen {port}; client_max_body_size 0; "
        "location / {{ proxy_pass http://127.0.0.1:{api}; }} }}"
    ),
    "nginx unbuffered": (
        "server {{ listen {port}; client_max_body_size 0; "
        "location / {{ proxy_pass http://127.0.0.1:{api}; proxy_request_buffering off; }} }}"
    ),
    "haproxy": (
        "defaults\n  mode http\n  option http-server-close\n  timeout connect 5s\n  timeout client 30s\n"
        "  timeout server 30s\nfrontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n"
        "backend b\n  server api 127.0.0.1:{api}\n"
    ),
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_proxy_that_closes_connections_passes_on_a_refusal(
    kind: str, upstream: Api, tmp_path: Path
) -> None:
    with free_ports(1) as (port,), ExitStack() as stack:
        config = DEFAULTS[kind].format(port=port, api=upstream.port)
        start = running_haproxy if kind == "haproxy" else running_nginx
        stack.enter_context(start(tmp_path, config, ports=[port]))
        proxy = Proxy(f"http://localhost:{port}", tmp_path)
        options = ("--http1.1", *SEND)
        for _ in range(5):
            assert proxy.status("/v1/jobs", *options, body=NOT_AUDIO + bytes(12 * MIB))[1] == "415"
            assert proxy.status("/v1/jobs", *options, body=WAV + bytes(32 * MIB))[1] == "413"
