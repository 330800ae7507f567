"""The whole service below a path prefix, with a proxy that strips it and with one that does not."""

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest

from api.http.templating import STATIC
from shared.domain.job_state import JobState
from shared.redis.webhooks.outbox import WebhookOutbox
from shared.root_path import use_root_path
from shared.settings import Settings
from shared.settings.base import OWN_PATHS
from tests.support.api_harness import OPERATOR_PASSWORD, ApiHarness
from tests.support.dashboard import HTML, PAGES, make_dead_job
from tests.support.factories import make_job, make_report

ROOT = "/tools/kammerton"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)
TUS = {"Tus-Resumable": "1.0.0"}
_LINK = re.compile(r'(?:href|action|formaction|src|data-tus)="([^"#]+)')


@pytest.fixture
def below() -> Iterator[str]:
    use_root_path(ROOT)
    yield ROOT
    use_root_path("")


@pytest.fixture(params=["stripped", "whole"])
def seen(request: pytest.FixtureRequest, below: str) -> str:
    """What the proxy leaves of the prefix."""
    return below if request.param == "whole" else ""


@pytest.mark.usefixtures("below")
def test_every_link_of_every_page_leads_to_a_page_below_the_prefix(api: ApiHarness) -> None:
    ended: dict[str, Any] = {"state": JobState.SUCCEEDED, "finished_at": 2.0, "expires_at": 9e9}
    api.jobs.add(make_job("job-1", report=make_report(), **ended))
    api.jobs.add(make_dead_job("job-2"))
    login = api.client.post(f"{ROOT}/admin/login", data={"password": OPERATOR_PASSWORD}, headers=HTML)
    assert login.url.path == f"{ROOT}/admin"
    open_paths = [ROOT + path for path in ("/", "/docs", "/jobs/job-1", "/jobs/none", *PAGES)]
    visited: set[str] = set()
    while open_paths:
        path = open_paths.pop()
        if path in visited:
            continue
        visited.add(path)
        page = api.client.get(path, headers=HTML)
        assert page.status_code in {200, 404 if path.endswith("none") else 200}, (path, page.text)
        if not page.headers["content-type"].startswith("text/html"):
            continue
        for link in _LINK.findall(page.text):
            if link.startswith("/"):
                assert link.startswith(f"{ROOT}/"), (path, link)
                open_paths += [link] if _is_get(link) else []
    assert len(visited) > 40


def _is_get(link: str) -> bool:
    writes = "logout|login|confirm|bulk-actions|keys/|queues/|workers/|acknowledge|/v1/"
    return not re.search(writes, link)


def test_a_form_is_answered_with_the_page_of_its_job(api: ApiHarness, seen: str) -> None:
    sent = api.client.post(
        f"{seen}/v1/jobs", files={"file": ("a.wav", WAV)}, headers=HTML, follow_redirects=False
    )
    assert sent.status_code == 303
    assert sent.headers["location"].startswith(f"{ROOT}/jobs/")
    assert api.client.get(sent.headers["location"], headers=HTML).status_code == 200


def test_a_jobs_location_and_links_lead_to_it(api: ApiHarness, seen: str) -> None:
    accepted = api.client.post(f"{seen}/v1/jobs", files={"file": ("a.wav", WAV)})
    job = accepted.json()
    assert accepted.status_code == 202
    assert accepted.headers["location"] == job["links"]["self"] == f"{ROOT}/v1/jobs/{job['id']}"
    assert api.client.get(job["links"]["self"]).json()["links"] == job["links"]
    assert api.client.get(job["links"]["page"]).status_code == 200
    assert job["links"]["events"] == f"{ROOT}/v1/jobs/{job['id']}/events"


def test_a_tus_upload_continues_at_its_location(api: ApiHarness, seen: str) -> None:
    length = {"Upload-Length": str(len(WAV)), "Upload-Metadata": "filetype YXVkaW8vd2F2"}
    created = api.client.post(f"{seen}/v1/tus/", headers=TUS | length)
    location = created.headers["location"]
    assert location.startswith(f"{ROOT}/v1/tus/")
    chunk = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert api.client.patch(location, content=WAV, headers=TUS | chunk).status_code == 204
    assert api.client.options(location).headers["tus-version"] == "1.0.0"


def test_cookies_are_for_paths_below_the_prefix_only(api: ApiHarness, seen: str) -> None:
    login = api.client.post(
        f"{seen}/admin/login",
        data={"password": OPERATOR_PASSWORD, "next": "/admin/jobs"},
        headers=HTML,
        follow_redirects=False,
    )
    assert login.headers["location"] == f"{ROOT}/admin/jobs"
    paths = {
        name: morsel["path"]
        for cookie in login.headers.get_list("set-cookie")
        for name, morsel in SimpleCookie(cookie).items()
    }
    assert sorted(paths.values()) == [ROOT, f"{ROOT}/admin/login"]
    assert api.client.get(f"{ROOT}/admin", headers=HTML).status_code == 200


def test_who_must_log_in_comes_back_to_the_page(api: ApiHarness, seen: str) -> None:
    refused = api.client.get(f"{seen}/admin/jobs?state=dead", headers=HTML, follow_redirects=False)
    location = refused.headers["location"]
    assert location == f"{ROOT}/admin/login?next=%2Fadmin%2Fjobs%3Fstate%3Ddead"


def test_the_openapi_document_names_the_prefix_as_its_server(api: ApiHarness, seen: str) -> None:
    document = api.client.get(f"{seen}/openapi.json").json()
    assert [server["url"] for server in document["servers"]] == [ROOT]
    assert "/v1/jobs" in document["paths"]


def test_health_checks_static_files_and_head_work(api: ApiHarness, seen: str) -> None:
    for path in ("/healthz", "/static/icon.svg", "/docs/quickstart"):
        assert api.client.get(seen + path).status_code == 200
        assert api.client.head(seen + path).status_code == 200


def test_the_prefix_without_a_slash_leads_to_the_start_page(api: ApiHarness, below: str) -> None:
    assert "<form" in api.client.get(below, headers=HTML).text


def test_a_path_that_only_begins_like_the_prefix_is_another_one(api: ApiHarness, below: str) -> None:
    assert api.client.get(f"{below}healthz").status_code == 404


@pytest.mark.usefixtures("below")
def test_the_links_of_a_webhook_lead_below_the_prefix() -> None:
    old = make_job(owner="key-1", state=JobState.RUNNING)
    record = str(WebhookOutbox(prefix="k:")(old, make_job(owner="key-1", state=JobState.FAILED)))
    assert f"{ROOT}/v1/jobs/job-1" in record


def test_scripts_build_every_address_in_one_place() -> None:
    literal = re.compile(r"(.{0,10})[\"'`]/(?:v1|admin|jobs|docs|r|openapi)\b")
    for script in STATIC.glob("*.js"):
        if script.name != "shortcuts.js":  # it has a table of paths
            for before in literal.findall(script.read_text()):
                assert before.endswith("address("), (script.name, before)


def test_the_setting_refuses_paths_of_the_service_itself(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAMMERTON_ROOT_PATH", "/music/kammerton/")
    assert Settings().root_path == "/music/kammerton"
    monkeypatch.setenv("KAMMERTON_ROOT_PATH", "/")
    assert Settings().root_path == ""
    for wrong in ("kammerton", "/a b", "/a//b", "/../a", "/ä", "/v1", "/docs/kammerton", "//host"):
        monkeypatch.setenv("KAMMERTON_ROOT_PATH", wrong)
        with pytest.raises(ValueError, match="it must"):
            Settings()
    paths = {str(route.path).split("/")[1] for route in api.client.app.routes if hasattr(route, "path")}  # type: ignore[attr-defined]
    assert paths - {""} <= OWN_PATHS
