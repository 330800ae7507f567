import asyncio
from typing import Any

import pytest
from fastapi.responses import HTMLResponse
from starlette.testclient import TestClient

from api.config import HttpConfig
from shared.domain.api_key import Scope
from tests.support.api_harness import ApiHarness
from tests.support.captured_logs import capture_logs

SONG = b"RIFF" + bytes(100)


def with_page(web: HttpConfig) -> TestClient:
    client = ApiHarness(http=web).client

    async def page(_: object) -> HTMLResponse:
        return HTMLResponse("<p>hello")

    client.app.router.add_route("/page", page)  # type: ignore[attr-defined]
    return client


def test_json_responses_can_load_nothing_and_cannot_be_framed(api: ApiHarness) -> None:
    for answer in (api.client.get("/healthz"), api.client.get("/nothing"), api.client.get("/v1/jobs")):
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Strict-Transport-Security" not in answer.headers


def test_a_page_can_load_only_its_own_origin_and_reach_the_storage() -> None:
    client = with_page(HttpConfig(storage_url="http://s3.test:9000/bucket"))
    headers = client.get("/page").headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self' http://s3.test:9000"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_api_reference_loads_nothing_from_other_hosts(api: ApiHarness) -> None:
    assert "https:" not in api.client.get("/docs").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("kammerton.test", 200),
        ("KAMMERTON.test:8443", 200),
        ("a.example.org", 200),
        ("example.org", 400),
        ("evil.test", 400),
        ("kammerton.test.evil.test", 400),
        ("evilexample.org", 400),
        ("", 400),
    ],
)
def test_only_allowed_hosts_are_answered(host: str, status: int) -> None:
    client = with_page(HttpConfig(allowed_hosts=("kammerton.test", "*.example.org")))
    answer = client.get("/page", headers={"Host": host})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "unknown_host"
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_pages_of_other_origins_are_allowed_only_by_setting(api: ApiHarness) -> None:
    origin = {"Origin": "https://app.test"}
    assert "Access-Control-Allow-Origin" not in api.client.get("/v1/jobs/x", headers=origin).headers
    client = ApiHarness(http=HttpConfig(cors_origins=("https://app.test",))).client
    allowed = client.get("/v1/jobs/x", headers=origin).headers
    assert allowed["Access-Control-Allow-Origin"] == "https://app.test"
    assert "Access-Control-Allow-Credentials" not in allowed
    exposed = set(allowed["Access-Control-Expose-Headers"].split(", "))
    assert {"ETag", "Location", "Preference-Applied", "Retry-After"} <= exposed
    other = client.get("/v1/jobs/x", headers={"Origin": "https://evil.test"}).headers
    assert "Access-Control-Allow-Origin" not in other
    preflight = client.options(
        "/v1/jobs",
        headers=origin
        | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"},
    )
    assert preflight.status_code == 200


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_pages_of_allowed_origins_can_use_tus(method: str) -> None:
    client = ApiHarness(http=HttpConfig(cors_origins=("https://app.test",))).client
    preflight = {
        "Origin": "https://app.test",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "tus-resumable,upload-length,upload-metadata,upload-offset",
    }
    assert client.options("/v1/tus/x", headers=preflight).status_code == 200
    headers = client.head("/v1/tus/x", headers={"Origin": "https://app.test"}).headers
    assert {"Upload-Offset", "Location"} <= set(headers["Access-Control-Expose-Headers"].split(", "))


def test_a_proxy_is_trusted_only_by_setting() -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    believed = TestClient(with_page(HttpConfig(trusted_proxies=("192.0.2.1",))).app, client=("192.0.2.1", 5))
    assert "Strict-Transport-Security" in believed.get("/page", headers=forwarded).headers
    stranger = TestClient(with_page(HttpConfig(trusted_proxies=("192.0.2.1",))).app, client=("192.0.2.2", 5))
    assert "Strict-Transport-Security" not in stranger.get("/page", headers=forwarded).headers
    unset = TestClient(with_page(HttpConfig()).app, client=("192.0.2.1", 5))
    assert "Strict-Transport-Security" not in unset.get("/page", headers=forwarded).headers


def test_an_unexpected_body_has_a_size_limit(api: ApiHarness) -> None:
    answer = api.client.post("/v1/jobs/x/cancel", content=bytes(2 * 1024 * 1024))
    assert answer.status_code in {404, 413}
    answer = api.client.post("/v1/jobs", content=bytes(13 * 1024 * 1024))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("hosts", [[], ["a.test", "b.test"], ["a.test", "a.test"]])
def test_a_request_has_exactly_one_host(api: ApiHarness, hosts: list[str]) -> None:
    asyncio.run(ask_with_hosts(api, hosts, "1.1", status=400))


def test_http_1_0_needs_no_host(api: ApiHarness) -> None:
    asyncio.run(ask_with_hosts(api, [], "1.0", status=200))


async def ask_with_hosts(api: ApiHarness, hosts: list[str], version: str, *, status: int) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/healthz",
        "raw_path": b"/healthz",
        "query_string": b"",
        "scheme": "http",
        "http_version": version,
        "headers": [(b"host", host.encode()) for host in hosts],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await api.client.app(scope, receive, send)
    assert sent[0]["status"] == status


def test_an_untrusted_proxy_is_logged_once() -> None:
    forwarded = {"X-Forwarded-For": "192.0.2.7"}
    for proxies, address, warnings in [
        ((), "192.0.2.2", 1),
        (("192.0.2.0/29",), "192.0.2.2", 0),
        (("192.0.2.0/29",), "192.0.2.9", 1),
        (("*",), "192.0.2.9", 0),
    ]:
        app = with_page(HttpConfig(trusted_proxies=proxies)).app
        with capture_logs() as logs:
            client = TestClient(app, client=(address, 5))
            for _ in range(3):
                client.get("/page", headers=forwarded)
        assert len(logs.events("forwarded_for_ignored")) == warnings, (proxies, address)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cache-Control",
        "Content-Digest",
        "Idempotency-Key",
        "If-None-Match",
        "Last-Event-ID",
        "Prefer",
        "traceparent",
        "tracestate",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Concat",
        "Upload-Defer-Length",
        "Upload-Length",
        "Upload-Metadata",
        "Upload-Offset",
        "X-HTTP-Method-Override",
        "X-Requested-With",
    ],
)
def test_pages_of_other_origins_may_send_the_headers_that_we_read(name: str) -> None:
    client = ApiHarness(http=HttpConfig(cors_origins=("https://app.test",))).client
    preflight = {
        "Origin": "https://app.test",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": name,
    }
    assert client.options("/v1/jobs/x", headers=preflight).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/webhooks"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs/x/cancel"),
        ("PATCH", "/v1/webhooks/x"),
        ("POST", "/admin/login"),
        ("POST", "/admin/api/jobs/actions"),
    ],
)
def test_a_body_that_is_too_large_is_a_problem(api: ApiHarness, method: str, path: str) -> None:
    token = api.token(*Scope)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    answer = api.client.request(method, path, content=b" " * (4 * 1024 * 1024), headers=headers)
    assert answer.status_code >= 400
    assert answer.headers["content-type"] == "application/problem+json"
