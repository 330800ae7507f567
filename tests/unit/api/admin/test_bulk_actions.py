"""Retry, cancel and delete."""

import re

from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from tests.support.api_harness import ApiHarness
from tests.support.dashboard import NO_AUDIO, log_in, make_dead_job
from tests.support.factories import make_job


def test_a_dead_job_is_retried_from_its_page(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    answer = log_in(api).post(
        "/admin/bulk-actions", data={"action": "retry", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert "1 job was queued again." in answer.text
    assert api.jobs.get("job-1").state is JobState.QUEUED
    assert api.queue.messages == {"interactive": ["job-1"]}
    (entry,) = api.audit.latest(limit=9)
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
    (entry,) = api.audit.latest(limit=9)
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
