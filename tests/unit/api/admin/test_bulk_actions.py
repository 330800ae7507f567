"""Retry, cancel and delete."""

import re

from shared.domain.job import AudioInput
from shared.domain.job_state import JobState
from tests.support.dashboard import NO_AUDIO, dead_job, log_in
from tests.support.factories import a_job
from tests.unit.api.conftest import World


def test_a_dead_job_is_retried_from_its_page(world: World) -> None:
    world.jobs.add(dead_job("job-1"))
    answer = log_in(world).post(
        "/admin/bulk-actions", data={"action": "retry", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert "1 job was queued again." in answer.text
    assert world.jobs.get("job-1").state is JobState.QUEUED
    assert world.queue.messages == {"interactive": ["job-1"]}
    (entry,) = world.audit.latest(limit=9)
    assert (entry.act, entry.what, entry.count) == ("retry", "job-1", 1)


def test_all_matching_jobs_are_retried_after_a_confirmation(world: World) -> None:
    for number in range(4):
        world.jobs.add(dead_job(f"job-{number}"))
    world.jobs.add(
        a_job("other", state=JobState.FAILED, queued_at=None, problem=NO_AUDIO, input=AudioInput())
    )
    client = log_in(world)
    question = client.post("/admin/confirm?reason=too_many_crashes", data={"action": "retry:all"}).text
    assert "Yes, retry 4 jobs" in question
    assert world.jobs.get("job-0").state is JobState.DEAD
    action = re.search(r'action="(/admin/bulk-actions[^"]*)"', question)
    assert action is not None
    done = client.post(action[1], data={"action": "retry", "all_matching": "all", "back": "/admin/jobs"}).text
    assert "4 jobs were queued again." in done
    assert world.jobs.get("other").state is JobState.FAILED
    (entry,) = world.audit.latest(limit=9)
    assert (entry.what, entry.count) == ("all with reason too_many_crashes", 4)


def test_jobs_that_can_not_be_retried_are_counted(world: World) -> None:
    world.jobs.add(a_job("job-1"))
    answer = log_in(world).post("/admin/bulk-actions", data={"action": "retry", "ids": ["job-1", "gone"]})
    assert "0 jobs were queued again. 2 jobs were not changed:" in answer.text


def test_an_action_without_a_selection_changes_nothing(world: World) -> None:
    world.jobs.add(dead_job("job-1"))
    client = log_in(world)
    assert "Select jobs first." in client.post("/admin/confirm", data={"action": "delete"}).text
    assert client.post("/admin/bulk-actions", data={"action": "delete"}).status_code == 400
    mistyped = client.post("/admin/bulk-actions?state=daed", data={"action": "delete", "all_matching": "all"})
    assert mistyped.status_code == 400
    assert world.jobs.get("job-1")


def test_deleting_a_job_from_its_page_redirects_to_the_list(world: World) -> None:
    world.jobs.add(dead_job("job-1"))
    answer = log_in(world).post(
        "/admin/bulk-actions", data={"action": "delete", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert answer.url.path == "/admin/jobs"
    assert "1 job was deleted." in answer.text
