import time
from typing import Any

import pytest

from api.jobs.wait_estimate import WaitEstimate
from shared.domain.job import Job
from shared.ports.workers import WorkerInfo
from tests.support.factories import make_job, make_report
from tests.support.fakes.admin import MemoryHistory, MemoryWorkerControl
from tests.support.fakes.jobs import MemoryJobStore, MemoryWorkerRegistry


class World:
    def __init__(self) -> None:
        self.now = time.time()
        self.jobs = MemoryJobStore()
        self.workers = MemoryWorkerRegistry()
        self.controls = MemoryWorkerControl()
        self.forecast = WaitEstimate(
            jobs=self.jobs,
            workers=self.workers,
            history=MemoryHistory(self.jobs),
            worker_control=self.controls,
            priority_queue="interactive",
        )

    def worked(self, *, seconds: float) -> None:
        self.jobs.add(make_job("old"))
        self.jobs.change("old", lambda job: job.start(worker="w", now=self.now - seconds, lease_seconds=99))
        self.jobs.change("old", lambda job: job.succeed(1, make_report(), now=self.now))

    def staff(self, slots: int) -> None:
        self.workers.heartbeat(
            WorkerInfo(name="h:1", host="h", pid=1, started_at=1.0, seen_at=self.now, concurrency=slots)
        )

    def wait(self, position: int, **changes: Any) -> float | None:
        job: Job = make_job("new", **changes)
        return self.forecast.wait_seconds(job, position)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("position", "rounds"), [(0, 1), (1, 1), (2, 2), (9, 5)])
def test_the_wait_is_the_median_run_for_each_round_of_all_slots(
    world: World, position: int, rounds: int
) -> None:
    world.worked(seconds=2.0)
    world.staff(slots=2)
    assert world.wait(position) == pytest.approx(2.0 * rounds, rel=0.06)


def test_a_batch_job_also_waits_for_interactive_jobs(world: World) -> None:
    world.worked(seconds=2.0)
    world.staff(slots=1)
    world.jobs.add(make_job("person"))
    assert world.wait(0, queue="batch") == pytest.approx(4.0, rel=0.06)


def test_a_delayed_attempt_waits_at_least_until_it_is_due(world: World) -> None:
    world.worked(seconds=0.5)
    world.staff(slots=1)
    assert world.wait(0, due_at=world.now + 30) == pytest.approx(30, abs=2)


def test_an_unknown_wait_is_none(world: World) -> None:
    assert world.wait(0) is None, "nobody works"
    world = World()
    world.staff(slots=1)
    assert world.wait(0) is None, "nothing ran lately"
    world = World()
    world.worked(seconds=1.0)
    world.staff(slots=1)
    world.controls.pause("interactive")
    assert world.wait(0) is None, "the queue is paused"
