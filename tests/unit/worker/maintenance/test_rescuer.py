import time
from typing import Any

import pytest

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from shared.ports.uploads import UploadInfo
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobQueue, MemoryJobStore
from tests.support.fakes.uploads import MemoryUploadRegistry
from worker.maintenance.rescuer import Rescuer


class World:
    def __init__(self) -> None:
        self.jobs = MemoryJobStore()
        self.audio = MemoryAudioStore()
        self.queue = MemoryJobQueue()
        self.uploads = MemoryUploadRegistry()
        self.rescuer = self.another()

    def another(self, **changes: Any) -> Rescuer:
        fields: dict[str, Any] = {
            "keep_audio": False,
            "lease_seconds": 15,
            "retry_seconds": 5,
            "orphan_seconds": 3600,
        }
        ports = {"jobs": self.jobs, "audio": self.audio, "queue": self.queue, "uploads": self.uploads}
        return Rescuer(**fields | ports | changes)

    def running(self, job_id: str = "job-1", **changes: Any) -> Job:
        self.jobs.add(make_job(job_id, **changes))
        return self.jobs.change(job_id, lambda job: job.start(worker="w", now=100.0, lease_seconds=15))


@pytest.fixture
def world() -> World:
    return World()


def test_a_queued_job_without_a_message_is_rung_for_again(world: World) -> None:
    world.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    world.rescuer.run_once(now=102.0)
    assert world.queue.messages == {}, "the API may be about to ring"
    world.rescuer.run_once(now=104.0)
    assert world.queue.messages == {"interactive": ["job-1"]}


def test_a_job_whose_message_waits_is_left_alone(world: World) -> None:
    world.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    world.queue.enqueue("job-1", queue="interactive")
    world.rescuer.run_once(now=1000.0)
    assert world.queue.messages == {"interactive": ["job-1"]}


def test_one_job_is_not_rung_for_every_round(world: World) -> None:
    world.jobs.add(make_job(due_at=100.0, queued_at=100.0))
    for now in (104.0, 106.0, 108.0):
        world.queue.messages.clear()
        world.rescuer.run_once(now=now)
    assert world.queue.messages == {}
    world.rescuer.run_once(now=140.0)
    assert world.queue.messages == {"interactive": ["job-1"]}


def test_a_delayed_attempt_is_rung_for_when_it_is_due(world: World) -> None:
    world.jobs.add(make_job(queued_at=100.0, due_at=105.0))
    world.rescuer.run_once(now=104.9)
    assert world.queue.messages == {}
    world.rescuer.run_once(now=105.0)
    assert world.queue.messages == {"interactive": ["job-1"]}


def test_a_job_whose_worker_vanished_runs_again(world: World) -> None:
    world.running()
    world.rescuer.run_once(now=114.9)
    assert world.jobs.get("job-1").state is JobState.RUNNING
    world.rescuer.run_once(now=115.0)
    assert world.jobs.get("job-1").state is JobState.QUEUED
    world.rescuer.run_once(now=120.0)
    assert world.queue.messages == {"interactive": ["job-1"]}


def test_a_job_that_lost_its_last_attempt_is_dead(world: World) -> None:
    world.running(attempts_allowed=1)
    world.rescuer.run_once(now=200.0)
    job = world.jobs.get("job-1")
    assert job.state is JobState.DEAD
    assert job.timeline[-1].why == "the worker vanished"


def test_two_rescuers_do_not_count_one_loss_twice(world: World) -> None:
    world.running()
    other = world.another()
    world.rescuer.run_once(now=115.0)
    other.run_once(now=115.0)
    assert world.jobs.get("job-1").attempts == 1
    assert len(world.jobs.get("job-1").timeline) == 3


def test_expired_jobs_go_with_their_audio(world: World) -> None:
    world.running(keep_seconds=50.0)
    world.audio.objects["job-1"] = (b"x", 100.0)
    world.jobs.change("job-1", lambda job: job.succeed(1, make_report(), now=110.0))
    world.rescuer.run_once(now=159.0)
    assert "job-1" in world.jobs.jobs
    world.rescuer.run_once(now=160.0)
    assert (world.jobs.jobs, world.audio.objects) == ({}, {})


def test_unwanted_audio_that_a_worker_could_not_delete_goes(world: World) -> None:
    world.running()
    world.audio.objects["job-1"] = (b"x", 100.0)
    world.jobs.change("job-1", lambda job: job.succeed(1, make_report(), now=110.0))
    world.another(keep_audio=True).run_once(now=111.0)
    assert "job-1" in world.audio.objects
    world.rescuer.run_once(now=111.0)
    assert world.audio.objects == {}
    assert not world.jobs.get("job-1").has_audio


def test_audio_and_unfinished_uploads_that_no_job_names_go_when_they_are_old(world: World) -> None:
    now = time.time()
    world.audio.objects = {"orphan": (b"x", now - 4000), "fresh": (b"x", now), "job-1": (b"x", now - 4000)}
    world.audio.uploads = {"u1": ("orphan-upload", now - 4000), "u2": ("fresh-upload", now)}
    world.jobs.add(make_job())
    world.queue.enqueue("job-1", queue="interactive")
    world.rescuer.run_once(now=now)
    assert set(world.audio.objects) == {"fresh", "job-1"}
    assert set(world.audio.uploads) == {"u2"}


def test_an_upload_that_is_awaited_is_no_orphan(world: World) -> None:
    now = time.time()
    world.jobs.add(make_job(state=JobState.AWAITING_UPLOAD, has_audio=False))
    world.audio.uploads = {"u1": ("job-1", now - 4000)}
    world.rescuer.run_once(now=now)
    assert set(world.audio.uploads) == {"u1"}


def test_after_an_outage_workers_get_the_time_to_renew_their_leases(world: World) -> None:
    world.running()
    chores = world.jobs.due_work

    def away(**_: Any) -> Any:
        raise Unavailable("away")

    world.jobs.due_work = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.rescuer.run_once(now=120.0)
    world.jobs.due_work = chores  # type: ignore[method-assign]
    world.rescuer.run_once(now=122.0)
    assert world.jobs.get("job-1").state is JobState.RUNNING
    world.rescuer.run_once(now=135.0)
    assert world.jobs.get("job-1").state is JobState.QUEUED


def test_a_job_that_vanishes_under_the_rescuer_harms_nothing(world: World) -> None:
    world.jobs.add(make_job(due_at=1.0))
    chores = world.jobs.due_work(now=1e9, limit=9)
    world.jobs.remove("job-1")
    world.jobs.due_work = lambda **_: chores  # type: ignore[method-assign]
    world.rescuer.run_once(now=1e9)
    assert world.queue.messages == {}


def test_an_upload_under_way_is_no_orphan_until_nobody_is_at_work_on_it(world: World) -> None:
    now = 100_000.0
    world.audio.uploads = {"u1": ("slow-one", now - 50_000)}
    world.uploads.heartbeat([UploadInfo(id="slow-one", started_at=now - 50_000, seen_at=now)])
    world.another().run_once(now=now)
    assert set(world.audio.uploads) == {"u1"}
    world.uploads.deregister("slow-one")
    world.another().run_once(now=now)
    assert world.audio.uploads == {}
