from typing import Any

import pytest

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobQueue, MemoryJobStore
from worker.maintenance.rescuer import Rescuer


class Harness:
    def __init__(self) -> None:
        self.jobs = MemoryJobStore()
        self.audio = MemoryAudioStore()
        self.queue = MemoryJobQueue()
        self.rescuer = self.make_rescuer()

    def make_rescuer(self, **changes: Any) -> Rescuer:
        fields: dict[str, Any] = {
            "keep_audio": False,
            "lease_seconds": 15,
            "retry_seconds": 5,
            "jitter": lambda: 0.0,
        }
        ports = {"jobs": self.jobs, "audio": self.audio, "queue": self.queue}
        return Rescuer(**fields | ports | changes)

    def add_running_job(self, job_id: str = "job-1", **changes: Any) -> Job:
        self.jobs.add(make_job(job_id, **changes))
        return self.jobs.change(job_id, lambda job: job.start(worker="w", now=100.0, lease_seconds=15))


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_a_queued_job_without_a_message_is_enqueued_again(harness: Harness) -> None:
    harness.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    harness.rescuer.run_once(now=102.0)
    assert harness.queue.messages == {}, "the API may be about to ring"
    harness.rescuer.run_once(now=104.0)
    assert harness.queue.messages == {"interactive": ["job-1"]}


def test_a_job_whose_message_waits_is_not_enqueued_again(harness: Harness) -> None:
    harness.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    harness.queue.enqueue("job-1", queue="interactive")
    harness.rescuer.run_once(now=1000.0)
    assert harness.queue.messages == {"interactive": ["job-1"]}


def test_a_job_is_not_enqueued_again_in_every_run(harness: Harness) -> None:
    harness.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    for now in (104.0, 106.0, 108.0):
        harness.queue.messages.clear()
        harness.rescuer.run_once(now=now)
    assert harness.queue.messages == {}
    harness.rescuer.run_once(now=140.0)
    assert harness.queue.messages == {"interactive": ["job-1"]}


def test_a_delayed_attempt_is_enqueued_when_it_is_due(harness: Harness) -> None:
    harness.jobs.add(make_job(queued_at=100.0, due_at=105.0))
    harness.rescuer.run_once(now=104.9)
    assert harness.queue.messages == {}
    harness.rescuer.run_once(now=105.0)
    assert harness.queue.messages == {"interactive": ["job-1"]}


def test_a_job_whose_worker_vanished_runs_again(harness: Harness) -> None:
    harness.add_running_job()
    harness.rescuer.run_once(now=114.9)
    assert harness.jobs.get("job-1").state is JobState.RUNNING
    harness.rescuer.run_once(now=115.0)
    assert harness.jobs.get("job-1").state is JobState.QUEUED
    harness.rescuer.run_once(now=120.0)
    assert harness.queue.messages == {"interactive": ["job-1"]}


def test_a_job_whose_last_attempt_is_lost_is_dead(harness: Harness) -> None:
    harness.add_running_job(attempts_allowed=1)
    harness.rescuer.run_once(now=200.0)
    job = harness.jobs.get("job-1")
    assert job.state is JobState.DEAD
    assert job.timeline[-1].why == "lease expired"


def test_two_rescuers_count_a_lost_attempt_once(harness: Harness) -> None:
    harness.add_running_job()
    other = harness.make_rescuer()
    harness.rescuer.run_once(now=115.0)
    other.run_once(now=115.0)
    assert harness.jobs.get("job-1").attempts == 1
    assert len(harness.jobs.get("job-1").timeline) == 3


def test_expired_jobs_are_removed_with_their_audio(harness: Harness) -> None:
    harness.add_running_job(keep_seconds=50.0)
    harness.audio.objects["job-1"] = (b"x", 100.0)
    harness.jobs.change("job-1", lambda job: job.succeed(1, make_report(), now=110.0))
    harness.rescuer.run_once(now=159.0)
    assert "job-1" in harness.jobs.jobs
    harness.rescuer.run_once(now=160.0)
    assert (harness.jobs.jobs, harness.audio.objects) == ({}, {})


def test_audio_that_a_worker_could_not_delete_is_deleted(harness: Harness) -> None:
    harness.add_running_job()
    harness.audio.objects["job-1"] = (b"x", 100.0)
    harness.jobs.change("job-1", lambda job: job.succeed(1, make_report(), now=110.0))
    harness.make_rescuer(keep_audio=True).run_once(now=111.0)
    assert "job-1" in harness.audio.objects
    harness.rescuer.run_once(now=111.0)
    assert harness.audio.objects == {}
    assert not harness.jobs.get("job-1").has_audio


def test_jobs_that_a_dead_worker_had_do_not_start_together_again(harness: Harness) -> None:
    jitters = iter([0.0, 1.0, 1.0])
    rescuer = harness.make_rescuer(jitter=lambda: next(jitters))
    for job_id in ("deadly", "honest"):
        harness.add_running_job(job_id)
    rescuer.run_once(now=120.0)
    assert [harness.jobs.get(job_id).due_at for job_id in ("deadly", "honest")] == [125.0, 130.0]
    harness.jobs.change("honest", lambda job: job.start(worker="w", now=131.0, lease_seconds=15))
    rescuer.run_once(now=200.0)
    assert harness.jobs.get("honest").due_at == 215.0, "the more attempts are lost, the longer"


def test_after_an_outage_workers_get_time_to_renew_their_leases(harness: Harness) -> None:
    harness.add_running_job()
    chores = harness.jobs.due_work

    def away(**_: Any) -> Any:
        raise Unavailable("away")

    harness.jobs.due_work = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        harness.rescuer.run_once(now=120.0)
    harness.jobs.due_work = chores  # type: ignore[method-assign]
    harness.rescuer.run_once(now=122.0)
    assert harness.jobs.get("job-1").state is JobState.RUNNING
    harness.rescuer.run_once(now=135.0)
    assert harness.jobs.get("job-1").state is JobState.QUEUED


def test_a_job_that_is_removed_during_a_run_is_skipped(harness: Harness) -> None:
    harness.jobs.add(make_job(due_at=1.0))
    chores = harness.jobs.due_work(now=1e9, limit=9)
    harness.jobs.remove("job-1")
    harness.jobs.due_work = lambda **_: chores  # type: ignore[method-assign]
    harness.rescuer.run_once(now=1e9)
    assert harness.queue.messages == {}


def test_an_object_that_cannot_be_deleted_stops_no_other_repair(harness: Harness) -> None:
    for number in range(3):
        job_id = f"ended-{number}"
        harness.add_running_job(job_id, keep_seconds=1e6)
        harness.jobs.change(job_id, lambda job: job.succeed(1, make_report(), now=110.0))
    harness.add_running_job("crashed")
    harness.jobs.add(make_job("waiting", due_at=100.0, queued_at=100.0))
    delete, failures = harness.audio.delete, list[str]()

    def refuse_one(key: str) -> None:
        if key == "ended-0":
            raise Unavailable("403")
        delete(key)

    harness.audio.delete = refuse_one  # type: ignore[method-assign]
    rescuer = harness.make_rescuer(count_failure=failures.append)
    rescuer.run_once(now=120.0)
    assert harness.jobs.get("crashed").state is JobState.QUEUED
    assert "waiting" in harness.queue.messages["interactive"]
    assert [harness.jobs.get(f"ended-{number}").has_audio for number in range(3)] == [True, False, False]


def test_a_broker_that_is_full_does_not_stop_expiry(harness: Harness) -> None:
    harness.add_running_job("old", keep_seconds=50.0)
    harness.jobs.change("old", lambda job: job.succeed(1, make_report(), now=110.0))
    harness.add_running_job("crashed")
    harness.jobs.add(make_job("waiting", due_at=100.0, queued_at=100.0))

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("OOM command not allowed")

    harness.queue.enqueue = refuse  # type: ignore[method-assign]
    harness.rescuer.run_once(now=200.0)
    assert "old" not in harness.jobs.jobs
    assert harness.jobs.get("crashed").state is JobState.QUEUED


def test_a_repair_that_failed_is_tried_again_a_minute_later(harness: Harness) -> None:
    harness.add_running_job("old", keep_seconds=50.0)
    harness.jobs.change("old", lambda job: job.succeed(1, make_report(), now=110.0))
    delete, tried = harness.audio.delete, list[str]()

    def refuse(key: str) -> None:
        tried.append(key)
        raise Unavailable("403")

    harness.audio.delete = refuse  # type: ignore[method-assign]
    rescuer = harness.make_rescuer(keep_audio=True)
    for now in (200.0, 202.0, 230.0):
        rescuer.run_once(now=now)
    assert tried == ["old"]
    harness.audio.delete = delete  # type: ignore[method-assign]
    rescuer.run_once(now=261.0)
    assert "old" not in harness.jobs.jobs


@pytest.mark.parametrize(("keep_seconds", "keep_audio"), [(50.0, True), (1e6, False)])
def test_a_store_that_is_down_is_not_asked_for_every_object(
    harness: Harness, keep_seconds: float, keep_audio: bool
) -> None:
    for number in range(20):
        job_id = f"old-{number}"
        harness.add_running_job(job_id, keep_seconds=keep_seconds)
        harness.jobs.change(job_id, lambda job: job.succeed(1, make_report(), now=110.0))
    tried: list[str] = []

    def refuse(key: str) -> None:
        tried.append(key)
        raise Unavailable("down")

    harness.audio.delete = refuse  # type: ignore[method-assign]
    harness.make_rescuer(keep_audio=keep_audio).run_once(now=200.0)
    assert len(tried) == 3


def test_a_retry_during_expiry_keeps_the_job_and_its_audio(harness: Harness) -> None:
    harness.add_running_job("job-1", keep_seconds=50.0, attempts_allowed=1)
    harness.audio.put("job-1", b"x", media_type="")
    harness.jobs.change("job-1", lambda job: job.lose_attempt("died", now=110.0))
    remove_if = harness.jobs.remove_if

    def retry_first(job_id: str, condition: Any) -> Any:
        harness.jobs.change(job_id, lambda job: job.retry(now=160.0, attempts=1))
        return remove_if(job_id, condition)

    harness.jobs.remove_if = retry_first  # type: ignore[method-assign]
    harness.rescuer.run_once(now=161.0)
    assert harness.jobs.get("job-1").state is JobState.QUEUED
    assert "job-1" in harness.audio.objects


def test_the_audio_of_a_removed_job_is_deleted_when_storage_is_back(harness: Harness) -> None:
    harness.jobs.add(make_job())
    harness.audio.put("job-1", b"x", media_type="")
    harness.jobs.remove("job-1")
    delete = harness.audio.delete

    def refuse(key: str) -> None:
        raise Unavailable(key)

    harness.audio.delete = refuse  # type: ignore[method-assign]
    harness.rescuer.run_once(now=100.0)
    assert "job-1" in harness.audio.objects
    harness.audio.delete = delete  # type: ignore[method-assign]
    harness.rescuer.run_once(now=200.0)
    assert (harness.audio.objects, harness.jobs.due_work(now=1e9, limit=9).removed) == ({}, ())


def test_every_delayed_attempt_is_enqueued_when_it_is_due(harness: Harness) -> None:
    harness.jobs.add(make_job(due_at=100.0, queued_at=100.0, attempts_allowed=4))
    harness.rescuer.run_once(now=104.0)
    for now in (110.0, 116.0, 122.0):
        harness.queue.messages.clear()
        harness.jobs.change("job-1", lambda job, now=now: job.start(worker="w", now=now, lease_seconds=9))  # type: ignore[misc]
        harness.jobs.change(
            "job-1",
            lambda job, now=now: job.crash(job.attempts, "died", now=now, delay_seconds=5),  # type: ignore[misc]
        )
        harness.rescuer.run_once(now=now + 5)
        assert harness.queue.messages == {"interactive": ["job-1"]}
