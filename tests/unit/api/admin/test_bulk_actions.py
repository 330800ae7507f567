"""Retry, cancel and delete."""

import re
import time
from typing import Any

import pytest

from api.admin.bulk_actions import FOREGROUND_JOBS
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from shared.ports.admin import AuditQuery, BulkOperation
from tests.support.api_harness import ApiHarness
from tests.support.dashboard import NO_AUDIO, audited, log_in, make_dead_job
from tests.support.factories import make_job


def test_a_dead_job_is_retried_from_its_page(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    answer = log_in(api).post(
        "/admin/bulk-actions", data={"action": "retry", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert "1 job was queued again." in answer.text
    assert api.jobs.get("job-1").state is JobState.QUEUED
    assert api.queue.messages == {"interactive": ["job-1"]}
    (entry,) = audited(api)
    assert (entry.act, entry.what, entry.count) == ("retry", "job-1", 1)


def test_all_matching_jobs_are_retried_after_a_confirmation(api: ApiHarness) -> None:
    for number in range(4):
        api.jobs.add(make_dead_job(f"job-{number}"))
    api.jobs.add(
        make_job("other", state=JobState.FAILED, queued_at=None, problem=NO_AUDIO, input=AudioInput())
    )
    client = log_in(api)
    question = client.post("/admin/confirm?reason=too_many_crashes", data={"action": "retry:all"}).text
    assert "Yes, retry 4 jobs" in question
    assert api.jobs.get("job-0").state is JobState.DEAD
    action = re.search(r'action="(/admin/bulk-actions[^"]*)"', question)
    assert action is not None
    done = client.post(action[1], data={"action": "retry", "all_matching": "all", "back": "/admin/jobs"}).text
    assert "4 jobs were queued again." in done
    assert api.jobs.get("other").state is JobState.FAILED
    (entry,) = audited(api)
    assert (entry.what, entry.count) == ("all with reason too_many_crashes", 4)


def test_jobs_that_can_not_be_retried_are_counted(api: ApiHarness) -> None:
    api.jobs.add(make_job("job-1"))
    answer = log_in(api).post("/admin/bulk-actions", data={"action": "retry", "ids": ["job-1", "gone"]})
    assert "0 jobs were queued again. 2 jobs were not changed:" in answer.text


def test_an_action_without_a_selection_changes_nothing(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api)
    assert "Select jobs first." in client.post("/admin/confirm", data={"action": "delete"}).text
    assert client.post("/admin/bulk-actions", data={"action": "delete"}).status_code == 400
    mistyped = client.post("/admin/bulk-actions?state=daed", data={"action": "delete", "all_matching": "all"})
    assert mistyped.status_code == 400
    assert api.jobs.get("job-1")


def test_deleting_a_job_from_its_page_redirects_to_the_list(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    answer = log_in(api).post(
        "/admin/bulk-actions", data={"action": "delete", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert answer.url.path == "/admin/jobs"
    assert "1 job was deleted." in answer.text


def test_only_jobs_with_audio_are_offered_for_a_retry(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    api.jobs.add(make_dead_job("job-2", has_audio=False))
    client = log_in(api)
    question = client.post("/admin/confirm", data={"action": "retry:all"}).text
    assert "Yes, retry 1 job" in question
    assert "1 more can’t be retried" in question
    assert 'value="retry"' not in client.get("/admin/jobs/job-2").text


def test_many_jobs_are_retried_in_the_background_and_one_failure_does_not_end_the_rest(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(FOREGROUND_JOBS + 5):
        api.jobs.add(make_dead_job(f"job-{number}"))
    client = log_in(api, name="Ann")
    change = api.jobs.change

    def fail_once(job_id: str, step: Any) -> Job:
        if job_id == "job-7":
            raise Unavailable("The job store is unavailable.")
        return change(job_id, step)

    monkeypatch.setattr(api.jobs, "change", fail_once)
    progress = client.post("/admin/bulk-actions", data={"action": "retry", "all_matching": "all"})
    assert progress.url.path.startswith("/admin/operations/")
    while "in progress" in progress.text:
        progress = client.get(progress.url.path)
    assert f"{FOREGROUND_JOBS + 4} of {FOREGROUND_JOBS + 5} jobs done, 1 not changed." in progress.text
    assert "The job store is unavailable." in progress.text
    while (entry := api.audit.page(AuditQuery(limit=1)).entries[0]).act != "retry":
        time.sleep(0.01)
    assert (entry.who, entry.count) == ("operator Ann", FOREGROUND_JOBS + 4)
    assert client.get("/admin/operations/unknown").status_code == 404


def test_an_operation_whose_process_stopped_is_shown_as_interrupted(api: ApiHarness) -> None:
    operation = BulkOperation(
        id="op",
        action="delete",
        selection="all",
        actor="Ann",
        started_at=1.0,
        updated_at=2.0,
        total=9,
        done=4,
    )
    api.dashboard.save_operation(operation, ttl_seconds=60)
    page = log_in(api).get("/admin/operations/op").text
    assert "Delete: interrupted" in page
    assert "4 of 9 jobs done" in page
