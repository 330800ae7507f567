import os
import signal

import pytest

from shared.errors import Unavailable
from shared.ports.jobs import Backlog
from shared.ports.workers import WorkerInfo
from worker.health.check import health_problem
from worker.health.memory import WorkerMemory, process_tree_memory_bytes
from worker.health.watchdog import start_watchdog, watch

NOW = 1000.0


def make_worker(**changes: float) -> WorkerInfo:
    fields = {"started_at": 0.0, "seen_at": NOW, "progress_at": 0.0} | changes
    return WorkerInfo(name="h:1", host="h", pid=1, **fields)  # type: ignore[arg-type]


def waiting(since: float | None) -> list[Backlog]:
    return [Backlog(queue="interactive", waiting=int(since is not None), oldest_queued_at=since)]


@pytest.mark.parametrize(
    ("worker", "since", "unhealthy"),
    [
        (None, None, True),
        (make_worker(seen_at=NOW - 60), None, True),
        (make_worker(), None, False),
        (make_worker(), NOW - 80, False),
        (make_worker(), NOW - 100, True),
        (make_worker(progress_at=NOW - 10), NOW - 100, False),
    ],
    ids=["unknown", "silent", "nothing waits", "waits a little", "stalled", "busy with a long queue"],
)
def test_a_worker_is_unhealthy_if_jobs_wait_and_none_is_started(
    worker: WorkerInfo | None, since: float | None, unhealthy: bool
) -> None:
    assert bool(health_problem(worker, waiting(since), now=NOW, stalled_seconds=90)) is unhealthy


def test_the_watchdog_kills_only_after_several_failed_checks_in_a_row() -> None:
    results = iter(["bad", "bad", None, "bad", "unavailable", "bad", "bad", "bad"])
    kills: list[str] = []

    def diagnose() -> str | None:
        found = next(results)
        if found == "unavailable":
            raise Unavailable("unavailable")
        return found

    watch(diagnose, kill=lambda: kills.append("now"), sleep=lambda _: None)
    assert kills == ["now"]
    assert list(results) == []


def test_a_stalled_process_is_killed_by_its_watchdog() -> None:
    pid = os.fork()
    if pid == 0:
        import worker.health.watchdog

        worker.health.watchdog.CHECK_SECONDS = 0.01
        start_watchdog(lambda: "stalled")
        signal.pause()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_the_memory_of_a_process_tree_includes_its_children() -> None:
    alone = process_tree_memory_bytes()
    stop_read, stop_write = os.pipe()
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        data = os.urandom(1) * (64 << 20)
        os.write(ready_write, data[:1])
        os.read(stop_read, 1)
        os._exit(0)
    os.read(ready_read, 1)
    with_child = process_tree_memory_bytes()
    os.write(stop_write, b"x")
    os.waitpid(pid, 0)
    assert with_child - alone > 60 << 20


def test_the_memory_is_read_again_after_a_while_only() -> None:
    answers, now = iter([10, 20]), [100.0]
    memory = WorkerMemory(lambda: next(answers), clock=lambda: now[0])
    assert memory.current_bytes() == 10
    now[0] += 14.0
    assert memory.current_bytes() == 10
    now[0] += 1.0
    assert memory.current_bytes() == 20
