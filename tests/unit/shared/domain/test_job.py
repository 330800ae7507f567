from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.job import Job
from shared.domain.job_fields import Problem
from shared.domain.job_state import MAX_TIMELINE, JobState
from shared.domain.source import Source
from shared.errors import Conflict, KammertonError, LeaseLost
from tests.support.factories import make_job, make_report

PROBLEM = Problem(code="undecodable", message="No decoder finds audio in this file.", retryable=False)


def running(**changes: Any) -> Job:
    return make_job(**changes).start(worker="w1", now=10.0, lease_seconds=15)


def test_starting_a_job_counts_the_attempt() -> None:
    job = running()
    assert (job.state, job.attempts, job.started_at) == (JobState.RUNNING, 1, 10.0)
    assert job.lease is not None
    assert (job.lease.token, job.lease.worker, job.lease.until) == (1, "w1", 25.0)


def test_a_job_with_a_live_lease_is_not_started_twice() -> None:
    with pytest.raises(Conflict):
        running().start(worker="w2", now=24.9, lease_seconds=15)


def test_a_job_with_an_expired_lease_starts_again_with_a_greater_token() -> None:
    job = running().start(worker="w2", now=25.0, lease_seconds=15)
    assert job.lease is not None
    assert (job.attempts, job.lease.token, job.lease.worker) == (2, 2, "w2")


def test_the_result_of_a_worker_that_lost_its_lease_is_refused() -> None:
    job = running().start(worker="w2", now=25.0, lease_seconds=15)
    with pytest.raises(LeaseLost):
        job.succeed(1, make_report(), now=26.0)
    assert job.succeed(2, make_report(), now=26.0).state is JobState.SUCCEEDED


def test_a_job_that_is_not_due_is_not_started() -> None:
    with pytest.raises(Conflict, match="not due"):
        make_job(due_at=12.0).start(worker="w1", now=10.0, lease_seconds=15)


def test_a_worker_whose_clock_is_a_little_behind_starts_a_new_job() -> None:
    job = make_job(due_at=10.02, queued_at=10.02).start(worker="w1", now=10.0, lease_seconds=15)
    assert job.state is JobState.RUNNING


def test_a_job_that_loses_every_attempt_is_dead_with_the_reason() -> None:
    job = make_job(attempts_allowed=2)
    job = job.start(worker="w", now=1, lease_seconds=1).crash(1, "SIGSEGV", now=2, delay_seconds=5)
    assert (job.state, job.due_at) == (JobState.QUEUED, 7)
    job = job.start(worker="w", now=7, lease_seconds=1).crash(2, "SIGSEGV", now=8, delay_seconds=5)
    assert job.state is JobState.DEAD
    assert job.problem is not None
    assert (job.problem.code, job.problem.retryable) == ("too_many_crashes", True)
    assert job.timeline[-1].why == "SIGSEGV"
    assert not job.audio_unneeded


def test_a_job_whose_last_lease_expired_is_dead() -> None:
    job = make_job(attempts_allowed=1).start(worker="w", now=1, lease_seconds=1)
    assert job.start(worker="w2", now=5, lease_seconds=1).state is JobState.DEAD


def test_a_release_does_not_use_an_attempt() -> None:
    job = make_job(attempts_allowed=1)
    for attempt in range(1, 6):
        job = job.start(worker="w", now=attempt, lease_seconds=1)
        job = job.release(attempt, "storage away", now=attempt, delay_seconds=0)
    assert job.state is JobState.QUEUED


def test_a_running_job_is_canceled_by_its_worker() -> None:
    job = running().cancel(now=11)
    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    assert job.confirm_cancel(1, now=12).state is JobState.CANCELED


def test_a_canceled_job_whose_worker_vanished_is_not_run_again() -> None:
    assert running().cancel(now=11).lose_attempt("gone", now=30).state is JobState.CANCELED


def test_a_canceled_job_that_is_released_does_not_run_again() -> None:
    job = running().cancel(now=11).release(1, "storage away", now=12, delay_seconds=0)
    assert (job.state, job.timeline[-1].why) == (JobState.CANCELED, "storage away")


def test_a_cancel_that_came_too_late_does_not_end_a_retry() -> None:
    failed = running().cancel(now=11).fail(1, PROBLEM, now=12)
    assert not failed.retry(now=13, attempts=1).cancel_requested


def test_a_queued_job_is_canceled_at_once() -> None:
    job = make_job().cancel(now=5)
    assert (job.state, job.finished_at) == (JobState.CANCELED, 5)


def test_only_final_jobs_have_an_expiry() -> None:
    assert running().expires_at is None
    assert running().succeed(1, make_report(), now=20).expires_at == 20 + make_job().keep_seconds


def test_a_failed_job_can_be_retried_while_its_audio_is_there() -> None:
    problem = Problem(code="x", message="x", retryable=True)
    failed = running().fail(1, problem, now=11)
    again = failed.retry(now=12, attempts=3)
    assert (again.state, again.problem, again.finished_at, again.expires_at) == (
        JobState.QUEUED,
        None,
        None,
        None,
    )
    assert again.attempts_allowed == 4
    with pytest.raises(Conflict, match="Upload the file again"):
        failed.mark_audio_deleted().retry(now=12, attempts=3)


def test_audio_is_kept_only_for_jobs_that_can_be_retried() -> None:
    assert running().fail(1, PROBLEM, now=11).audio_unneeded
    assert running().succeed(1, make_report(), now=11).audio_unneeded
    assert not running().fail(1, Problem(code="x", message="x", retryable=True), now=11).audio_unneeded
    assert not running().audio_unneeded


def test_the_timeline_keeps_the_first_entry_and_the_latest() -> None:
    job = make_job(attempts_allowed=1)
    for attempt in range(1, 100):
        job = job.start(worker="w", now=attempt, lease_seconds=1)
        job = job.release(attempt, "storage away", now=attempt, delay_seconds=0)
    assert len(job.timeline) == MAX_TIMELINE
    assert job.timeline[0].at == make_job().timeline[0].at
    assert job.timeline[-1].attempt == 99


ACTS = [
    "submit",
    "start",
    "renew",
    "succeed",
    "fail",
    "release",
    "crash",
    "lose",
    "cancel",
    "confirm",
    "retry",
]


def act(job: Job, name: str, token: int, now: float) -> Job:
    match name:
        case "submit":
            return job.submit(now=now)
        case "start":
            return job.start(worker="w", now=now, lease_seconds=3)
        case "renew":
            return job.renew_lease(token, now=now, lease_seconds=3)
        case "succeed":
            return job.succeed(token, make_report(), now=now)
        case "fail":
            return job.fail(token, PROBLEM, now=now)
        case "release":
            return job.release(token, "away", now=now, delay_seconds=0)
        case "crash":
            return job.crash(token, "SIGSEGV", now=now, delay_seconds=0)
        case "lose":
            return job.lose_attempt("gone", now=now)
        case "cancel":
            return job.cancel(now=now)
        case "confirm":
            return job.confirm_cancel(token, now=now)
        case _:
            return job.retry(now=now, attempts=2)


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), max_size=40))
def test_a_job_stays_valid_through_any_sequence_of_steps(steps: list[tuple[str, int]]) -> None:
    job = make_job()
    for now, (name, token) in enumerate(steps, start=1):
        before = job
        try:
            job = act(job, name, token, now)
        except KammertonError:
            continue
        assert job.attempts >= before.attempts
        assert (job.lease is not None) == (job.state is JobState.RUNNING)
        assert (job.finished_at is not None) == job.state.is_final
        assert (job.expires_at is not None) == job.state.is_final
        assert (job.report is not None) == (job.state is JobState.SUCCEEDED)
        assert job.attempts <= job.attempts_allowed
        assert not (job.state is JobState.QUEUED and job.cancel_requested)
        if before.state.is_final and job.state is not before.state:
            assert name == "retry"


def fetched(**changes: Any) -> Job:
    source = Source.from_url("https://files.example/song?signature=secret")
    job = make_job(source=source, has_audio=False, attempts_allowed=1, **changes)
    return job.start(worker="w", now=10, lease_seconds=15)


AWAY = Problem(code="source_away", message="It answered 503.", retryable=True)
PAUSES = (5.0, 60.0)


def test_an_unavailable_server_postpones_the_job_without_using_attempts() -> None:
    job = fetched()
    for attempt, pause in enumerate(PAUSES, start=1):
        job = job.postpone(attempt, AWAY, now=20, delays_seconds=PAUSES)
        assert (job.state, job.due_at) == (JobState.QUEUED, 20 + pause)
        assert job.timeline[-1].why == "It answered 503."
        assert job.audio_available
        job = job.start(worker="w", now=1000, lease_seconds=15)
        assert job.state is JobState.RUNNING
    job = job.postpone(3, AWAY, now=1001, delays_seconds=PAUSES)
    assert (job.state, job.problem) == (JobState.FAILED, AWAY)
    assert job.audio_available
    again = job.retry(now=1002, attempts=3)
    assert again.source is not None
    assert again.source.misses == 0


def test_a_server_can_ask_for_a_longer_delay() -> None:
    assert fetched().postpone(1, AWAY, now=20, delays_seconds=PAUSES, min_delay_seconds=90).due_at == 110


def test_a_canceled_job_is_not_postponed() -> None:
    job = fetched().cancel(now=11).postpone(1, AWAY, now=20, delays_seconds=PAUSES)
    assert job.state is JobState.CANCELED


def test_a_source_url_is_deleted_with_the_last_attempt_that_could_need_it() -> None:
    for ended in (
        fetched().succeed(1, make_report(), now=11),
        fetched().fail(1, PROBLEM, now=11),
        fetched().cancel(now=11).confirm_cancel(1, now=12),
    ):
        assert ended.source is not None
        assert (ended.source.url, ended.source.server) == (None, "https://files.example")
        assert "secret" not in repr(ended)
    dead = fetched().crash(1, "SIGSEGV", now=11, delay_seconds=0)
    assert dead.state is JobState.DEAD
    assert dead.audio_available
    assert dead.retry(now=12, attempts=1).state is JobState.QUEUED


def test_a_job_whose_source_url_was_deleted_cannot_be_retried() -> None:
    job = fetched().fail(1, PROBLEM, now=11)
    with pytest.raises(Conflict, match="Send it again"):
        job.retry(now=12, attempts=1)
