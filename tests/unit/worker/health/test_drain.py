import os

from worker.health.drain import Drain


def test_a_worker_that_is_not_stopped_never_drains() -> None:
    assert not Drain(grace_seconds=0).is_over


def test_a_child_sees_that_its_parent_is_stopping() -> None:
    drain = Drain(grace_seconds=0)
    stop_read, stop_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(stop_read, 1)
        os._exit(7 if drain.is_over else 1)
    drain.begin()
    os.write(stop_write, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_jobs_are_released_only_after_the_grace_period() -> None:
    drain = Drain(grace_seconds=3600)
    drain.begin()
    assert not drain.is_over
