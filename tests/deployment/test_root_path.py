"""A real nginx serves Kammerton below a path prefix, and passes the prefix on or strips it."""

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser
from tusclient.client import TusClient

from tests.support.api_process import Api, running_api
from tests.support.proxies import free_ports, running_nginx
from tests.support.servers import S3Server, ValkeyServer

ROOT = "/tools/kammerton"
WAV = b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(100_000)
SECONDS_MS = 60_000
_NGINX = """
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{ return 404; }}
    location {root}/ {{
        proxy_pass http://127.0.0.1:{api}{path};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_request_buffering off;
        proxy_buffering off;
    }}
}}
"""


@pytest.fixture(scope="module")
def upstream(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    settings = {"KAMMERTON_ROOT_PATH": ROOT, "KAMMERTON_TRUSTED_PROXIES": "127.0.0.1"}
    with running_api(valkey, s3, **settings) as api:
        yield api


@pytest.fixture(scope="module", params=["", "/"], ids=["passes the prefix on", "strips the prefix"])
def home(
    request: pytest.FixtureRequest, upstream: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the start page behind nginx."""
    with ExitStack() as stack:
        (port,) = stack.enter_context(free_ports(1))
        config = _NGINX.format(port=port, root=ROOT, api=upstream.port, path=request.param)
        stack.enter_context(running_nginx(tmp_path_factory.mktemp("nginx"), config, ports=[port]))
        yield f"http://127.0.0.1:{port}{ROOT}/"


def test_an_upload_leads_to_its_job_and_its_events(home: str) -> None:
    with httpx.Client(base_url=home, timeout=60) as client:
        sent = client.post("v1/jobs", files={"file": ("a.wav", WAV)})
        assert sent.status_code == 202
        job = sent.json()
        at = httpx.URL(home).join(sent.headers["location"])
        assert client.get(at).json()["links"] == job["links"]
        with client.stream("GET", httpx.URL(home).join(job["links"]["events"])) as events:
            assert next(line for line in events.iter_lines() if line.startswith("event:")) == "event: state"


def test_tuspy_uploads_in_chunks(home: str, upstream: Api) -> None:
    metadata = {"filename": "a.wav", "filetype": "audio/wav"}
    uploader = TusClient(f"{home}v1/tus").uploader(
        file_stream=io.BytesIO(WAV), chunk_size=40_000, metadata=metadata
    )
    uploader.upload()
    folder, _, upload_id = str(uploader.url).rpartition("/")
    assert folder == f"{home}v1/tus"
    assert upload_id in upstream.accepted()


def test_the_pages_work_in_a_browser(home: str, browser: Browser, tmp_path: Path) -> None:
    failed: list[str] = []
    page = browser.new_page()
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(home, timeout=SECONDS_MS)
    song = tmp_path / "a.wav"
    song.write_bytes(WAV)
    with page.expect_response(lambda answer: "/v1/events?" in answer.url, timeout=SECONDS_MS) as events:
        page.locator("input[type=file]").set_input_files(song)
    assert events.value.ok
    assert events.value.url.startswith(f"{home}v1/events?")
    page.locator("#songs .song[data-job]").wait_for(timeout=SECONDS_MS)
    with page.expect_response(f"{home}openapi.json", timeout=SECONDS_MS):
        page.goto(f"{home}docs", timeout=SECONDS_MS)
    page.goto(f"{home}admin", timeout=SECONDS_MS)
    assert page.url == f"{home}admin/login?next=%2Fadmin"
    page.close()
    assert failed == []
