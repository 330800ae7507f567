"""The lists of jobs and batches: filters, pages in both directions, and acts on one row."""

import re
import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState, StateTransition
from shared.domain.report import Verdict
from tests.support.api_harness import VIEWER_PASSWORD, ApiHarness
from tests.support.dashboard import HTML, log_in, make_dead_job
from tests.support.factories import make_batch, make_job, make_report


def finished(job_id: str, *, seconds: float, verdict: Verdict = Verdict.A440, **more: Any) -> Any:
    report = make_report(verdict=verdict)
    ended = {"queued_at": None, "started_at": 100.0, "finished_at": 100.0 + seconds}
    return make_job(job_id, state=JobState.SUCCEEDED, report=report, **ended, **more)


def ids(page: str) -> list[str]:
    return re.findall(r'href="/admin/jobs/(job-\d+)"', page)


def test_jobs_are_filtered_by_queue_batch_verdict_and_run_time(api: ApiHarness) -> None:
    api.jobs.add(finished("job-1", seconds=2.0, verdict=Verdict.A432, input=AudioInput(filename="mid.mp3")))
    api.jobs.add(finished("job-2", seconds=9.0, queue="batch", input=AudioInput(filename="mid.wav")))
    api.jobs.add(make_job("job-3", batch_id="batch-1"))
    api.jobs.add(make_dead_job("job-4"))
    client = log_in(api, VIEWER_PASSWORD)

    def shown(query: str) -> set[str]:
        return set(ids(client.get(f"/admin/jobs?{query}").text))

    assert shown("queue=batch") == {"job-2"}
    assert shown("batch=batch-1") == {"job-3"}
    assert shown("verdict=432") == {"job-1"}
    assert shown("verdict=432&q=mid") == {"job-1"}
    assert shown("min_seconds=2.5") == {"job-2"}
    assert shown("reason=Too+many+crashes") == {"job-4"}  # as the column shows it
    assert shown("queue=&batch=&verdict=&min_seconds=") == {"job-1", "job-2", "job-3", "job-4"}


@pytest.mark.parametrize("query", ["verdict=441", "min_seconds=soon", "min_seconds=-1", "min_seconds=nan"])
def test_a_wrong_filter_is_refused_and_selects_nothing(api: ApiHarness, query: str) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api)
    assert client.get(f"/admin/jobs?{query}", headers=HTML).status_code == 400
    form = {"action": "delete", "all_matching": "all"}
    assert client.post(f"/admin/bulk-actions?{query}", data=form, headers=HTML).status_code == 400
    assert api.jobs.get("job-1").id == "job-1"


def test_a_row_shows_the_result_and_the_run_time(api: ApiHarness) -> None:
    api.jobs.add(finished("job-1", seconds=3.2))
    page = log_in(api, VIEWER_PASSWORD).get("/admin/jobs").text
    assert "432.0 Hz" in page
    assert "3.2 s" in page


def test_pages_go_forwards_and_backwards_within_the_filter(api: ApiHarness) -> None:
    for number in range(60):
        api.jobs.add(make_job(f"job-{number:02}", created_at=float(number)))
        api.jobs.add(make_job(f"other-{number:02}", queue="batch", created_at=number + 0.5))
    client = log_in(api, VIEWER_PASSWORD)

    def follow(page: str, rel: str) -> str:
        return client.get(link_to(rel, page)).text

    first = client.get("/admin/jobs?queue=interactive").text
    second = follow(first, "next")
    third = follow(second, "next")
    pages = [ids(page) for page in (first, second, third)]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert [*pages[0], *pages[1], *pages[2]] == [f"job-{number:02}" for number in reversed(range(60))]
    assert ids(follow(third, "prev")) == pages[1]
    back = follow(follow(third, "prev"), "prev")
    assert ids(back) == pages[0]
    assert 'rel="prev"' not in first + back
    assert 'rel="next"' not in third


@pytest.mark.parametrize("address", ["/admin/jobs?queue=batch", "/admin/dead?"])
def test_all_jobs_are_sorted_by_the_server(api: ApiHarness, address: str) -> None:
    for number in range(30):
        api.jobs.add(make_dead_job(f"job-{number:02}", queue="batch", created_at=float(number)))
    client = log_in(api, VIEWER_PASSWORD)
    oldest = client.get(heading("Submitted", client.get(address).text)).text
    assert ids(oldest) == [f"job-{number:02}" for number in range(25)]
    rest = client.get(link_to("next", oldest)).text
    assert ids(rest) == [f"job-{number:02}" for number in range(25, 30)]
    assert ids(client.get(link_to("prev", rest)).text) == ids(oldest)
    assert ids(client.get(heading("Submitted", oldest)).text)[0] == "job-29"


def test_found_jobs_are_sorted_too(api: ApiHarness) -> None:
    for number in (1, 2, 3):
        name = AudioInput(filename="mid.wav")
        api.jobs.add(make_job(f"job-{number}", created_at=float(number), input=name))
    client = log_in(api, VIEWER_PASSWORD)
    assert ids(client.get("/admin/jobs?q=mid").text) == ["job-3", "job-2", "job-1"]
    assert ids(client.get("/admin/jobs?q=mid&sort=oldest").text) == ["job-1", "job-2", "job-3"]


@pytest.mark.parametrize("query", ["sort=nonsense", "sort=--size", "sort=id", "sort=size&cursor=x"])
def test_an_unknown_order_is_refused(api: ApiHarness, query: str) -> None:
    assert log_in(api).get(f"/admin/jobs?{query}", headers=HTML).status_code == 400


def test_all_jobs_that_match_are_sorted_by_any_column(api: ApiHarness) -> None:
    for number in range(30):
        audio = AudioInput(filename=f"Take {number}.wav", size_bytes=1000 - number if number else None)
        api.jobs.add(make_job(f"job-{number:02}", created_at=float(number % 7), input=audio))
    api.jobs.add(make_job("job-99", queue="batch", input=AudioInput(filename="take 9.wav")))
    client = log_in(api, VIEWER_PASSWORD)
    page = client.get("/admin/jobs?queue=interactive").text
    by_name = client.get(heading("File", page)).text
    assert ids(by_name) == [f"job-{number:02}" for number in range(25)]
    assert "30 jobs, sorted by file" in " ".join(by_name.split())
    rest = client.get(link_to("next", by_name)).text
    assert ids(rest) == [f"job-{number:02}" for number in range(25, 30)]
    assert ids(client.get(link_to("prev", rest)).text) == ids(by_name)
    backwards = client.get(heading("File", rest)).text
    assert ids(backwards)[0] == "job-29"
    largest = client.get(heading("Size", page)).text
    smallest = client.get(heading("Size", largest)).text
    assert ids(largest)[0] == "job-01"
    assert ids(smallest)[0] == "job-29"
    assert ids(client.get(link_to("next", smallest)).text)[-1] == "job-00"  # its size is not known


def test_jobs_are_sorted_by_their_result(api: ApiHarness) -> None:
    for number, hz in ((1, 440.0), (2, 432.0), (3, 445.0)):
        job = finished(f"job-{number}", seconds=1.0)
        api.jobs.add(replace(job, report=make_report(a4_hz=hz)))
    api.jobs.add(finished("job-4", seconds=1.0, verdict=Verdict.INCONCLUSIVE))
    client = log_in(api, VIEWER_PASSWORD)
    assert ids(client.get("/admin/jobs?sort=result").text) == ["job-2", "job-1", "job-3", "job-4"]
    assert ids(client.get("/admin/jobs?sort=-result").text) == ["job-3", "job-1", "job-2", "job-4"]


def test_a_page_says_that_only_the_newest_jobs_are_sorted(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.admin.overview.MAX_SORTED", 20)
    monkeypatch.setattr("api.admin.overview._SORTED_PER_READ", 10)
    for number in range(20):
        api.jobs.add(make_job(f"job-{number:02}", created_at=float(number)))
    client = log_in(api, VIEWER_PASSWORD)
    assert "Only the newest" not in client.get("/admin/jobs?sort=file").text
    api.jobs.add(make_job("job-20", created_at=20.0))
    page = client.get("/admin/jobs?sort=-attempts").text
    assert "Only the newest jobs are sorted: 20 of them match." in page
    assert ids(page)[0] == "job-20"
    assert "job-00" not in ids(page)


def test_a_long_list_in_the_order_of_a_column_is_not_live(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.admin.job_pages._MAX_LIVE_SORTED", 2)
    for number in range(3):
        api.jobs.add(make_job(f"job-{number}", queue="batch" if number else "interactive"))
    client = log_in(api, VIEWER_PASSWORD)
    assert "data-live" in client.get("/admin/jobs").text
    assert "data-live" in client.get("/admin/jobs?sort=file&queue=batch").text
    long = client.get("/admin/jobs?sort=file").text
    assert "data-live" not in long
    assert "This order is not updated live." in long


def heading(label: str, page: str) -> str:
    link = re.search(rf'<a class="sort" href="([^"]+)"[^>]*>{label}</a>', page)
    assert link is not None
    return link[1].replace("&amp;", "&")


def link_to(rel: str, page: str) -> str:
    link = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    assert link is not None
    return link[1].replace("&amp;", "&")


def test_the_button_of_a_row_acts_on_that_job_alone(api: ApiHarness) -> None:
    for number in (1, 2, 3):
        api.jobs.add(make_dead_job(f"job-{number}"))
    client = log_in(api)
    form = {"action": "delete", "ids": ["job-1", "job-3"], "back": "/admin/dead"}
    page = client.post("/admin/confirm?only=job-2", data=form, headers=HTML).text
    assert "Delete 1 job?" in page
    assert re.findall(r'name="ids" value="([^"]+)"', page) == ["job-2"]


def test_scheduled_jobs_are_listed_with_their_start_and_reason(api: ApiHarness) -> None:
    now = time.time()
    crashed = StateTransition(at=now, state=JobState.QUEUED, attempt=1, worker="host:7", why="signal 9")
    api.jobs.add(make_job("job-1", due_at=now + 300, timeline=(crashed,)))
    api.jobs.add(make_job("job-2", due_at=now - 300))
    api.jobs.add(make_job("job-3", due_at=now + 600))
    client = log_in(api)
    page = client.get("/admin/scheduled").text
    assert ids(page) == ["job-1", "job-3"]
    assert "signal 9" in page
    assert ids(client.get(heading("Starts", page)).text) == ["job-3", "job-1"]
    assert ":all" not in page  # "all" would mean all queued jobs


def test_batches_and_their_jobs_are_listed(api: ApiHarness) -> None:
    batch = make_batch("batch-1", "job-1", "job-2", owner="key-1", name="An album")
    api.batches.create(batch, [(None, make_job(f"job-{n}", batch_id="batch-1")) for n in (1, 2)])
    api.batches.create(
        make_batch("batch-2", "job-9", owner="key-2"), [(None, make_job("job-9", batch_id="batch-2"))]
    )
    client = log_in(api, VIEWER_PASSWORD)
    page = client.get("/admin/batches").text
    assert set(re.findall(r'href="/admin/batches/(batch-\d)"', page)) == {"batch-1", "batch-2"}
    assert "An album" in page
    assert "batch-2" not in client.get("/admin/batches?owner=key-1").text
    assert set(ids(client.get("/admin/batches/batch-1").text)) == {"job-1", "job-2"}
    assert client.get("/admin/batches/none", headers=HTML).status_code == 404


def test_the_jobs_of_a_batch_are_changed_after_a_question(api: ApiHarness) -> None:
    dead = [(None, make_dead_job(f"job-{number}", batch_id="batch-1")) for number in (1, 2)]
    waiting = (None, make_job("job-3", batch_id="batch-1"))
    api.batches.create(make_batch("batch-1", "job-1", "job-2", "job-3"), [*dead, waiting])
    api.jobs.add(make_dead_job("job-4"))
    client = log_in(api)

    def offered() -> set[str]:
        return set(re.findall(r'name="action" value="(\w+):all"', client.get("/admin/batches/batch-1").text))

    def act(action: str) -> str:
        form = {"action": f"{action}:all", "back": "/admin/batches/batch-1"}
        question = client.post("/admin/confirm?batch=batch-1", data=form, headers=HTML).text
        form = {"action": action, "all_matching": "all", "back": "/admin/batches/batch-1"}
        answer = client.post("/admin/bulk-actions?batch=batch-1", data=form, headers=HTML)
        assert answer.status_code == 200
        return question

    assert offered() == {"retry", "cancel", "delete"}
    assert "Retry 2 jobs?" in act("retry")
    assert api.jobs.get("job-1").state is JobState.QUEUED
    assert offered() == {"cancel", "delete"}
    assert "Cancel 3 jobs?" in act("cancel")
    assert "Delete 3 jobs?" in act("delete")
    assert offered() == set()
    assert api.jobs.get("job-4").state is JobState.DEAD


def test_a_viewer_is_offered_no_action_on_a_batch(api: ApiHarness) -> None:
    api.batches.create(make_batch("batch-1", "job-1"), [(None, make_dead_job("job-1", batch_id="batch-1"))])
    page = log_in(api, VIEWER_PASSWORD).get("/admin/batches/batch-1").text
    assert "/admin/confirm" not in page


def test_the_audit_log_has_logins_and_failed_logins_and_is_filtered_and_paged(api: ApiHarness) -> None:
    api.client.post("/admin/login", data={"password": "wrong", "name": "<Mallory>"}, headers=HTML)
    client = log_in(api, name="Ann")
    for number in range(60):
        client.post("/admin/queues/batch", data={"action": ("pause", "resume")[number % 2]}, headers=HTML)

    def rows(query: str) -> int:
        return client.get(f"/admin/audit?{query}").text.count('data-label="Actor"')

    assert rows("act=failed+login") == 1
    assert "&lt;Mallory&gt;" in client.get("/admin/audit?act=failed+login").text
    assert rows("act=login") == 1
    assert rows("act=pause") == 30
    assert rows("q=mallory") == 1
    assert rows("") == 50
    older = re.search(r'rel="next" href="([^"]+)"', client.get("/admin/audit").text)
    assert older is not None
    assert client.get(older[1].replace("&amp;", "&")).text.count('data-label="Actor"') == 12
    assert client.get("/admin/audit?cursor=nonsense", headers=HTML).status_code == 400
