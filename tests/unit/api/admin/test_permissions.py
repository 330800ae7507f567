"""Viewers change nothing, and other sites change nothing with an operator's cookie."""

import re

import pytest

from shared.domain.job_state import JobState
from tests.support.api_harness import VIEWER_PASSWORD, ApiHarness
from tests.support.dashboard import PAGES, audited, log_in, make_dead_job, make_worker

CHANGES = [
    ("/admin/bulk-actions", {"action": "retry", "ids": "job-1"}),
    ("/admin/bulk-actions", {"action": "delete", "all_matching": "all"}),
    ("/admin/confirm", {"action": "delete:all"}),
    ("/admin/queues/batch", {"action": "pause"}),
    ("/admin/workers/host:7", {"action": "restart"}),
    ("/admin/webhooks/msg_1", {}),
    ("/admin/keys", {"name": "mine", "scopes": "admin:write"}),
]


@pytest.mark.parametrize(("path", "data"), CHANGES)
def test_a_viewer_can_change_nothing(api: ApiHarness, path: str, data: dict[str, str]) -> None:
    api.jobs.add(make_dead_job("job-1"))
    api.workers.heartbeat(make_worker())
    answer = log_in(api, VIEWER_PASSWORD).post(path, data=data)
    assert answer.status_code == 403
    assert "Log in as operator" in answer.text
    assert api.jobs.get("job-1").state is JobState.DEAD
    assert (api.controls.paused(), api.controls.commands()) == (frozenset(), {})
    assert audited(api) == []


@pytest.mark.parametrize(("path", "data"), [*CHANGES, ("/admin/logout", {})])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": None, "Origin": "null"},
        {"Sec-Fetch-Site": None},
    ],
)
def test_another_site_can_not_use_an_operators_cookie(
    api: ApiHarness, path: str, data: dict[str, str], headers: dict[str, str | None]
) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api)
    for name, value in headers.items():
        if value is None:
            del client.headers[name]
        else:
            client.headers[name] = value
    assert client.post(path, data=data).status_code == 403
    assert api.jobs.get("job-1").state is JobState.DEAD
    assert audited(api) == []


def test_a_browser_without_sec_fetch_site_is_checked_by_its_origin(api: ApiHarness) -> None:
    client = log_in(api)
    del client.headers["Sec-Fetch-Site"]
    client.headers["Origin"] = "http://testserver"
    assert client.post("/admin/queues/batch", data={"action": "pause"}).status_code == 200
    assert api.controls.paused() == {"batch"}


def test_a_viewer_sees_no_buttons(api: ApiHarness) -> None:
    api.workers.heartbeat(make_worker())
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api, VIEWER_PASSWORD)
    for path in [*PAGES, "/admin/jobs/job-1"]:
        assert not re.search(r'name="action"', client.get(path).text)
