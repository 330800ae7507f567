import os

from worker.health.drain import Drain


def test_a_worker_that_nobody_stops_is_never_over() -> None:
    assert not Drain(grace_seconds=0).is_over


def test_a_child_sees_that_its_parent_is_stopping() -> None:
    drain = Drain(grace_seconds=0)
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(told, 1)
        os._exit(7 if drain.is_over else 1)
    drain.begin()
    os.write(tell, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_the_grace_comes_first() -> None:
    drain = Drain(grace_seconds=3600)
    drain.begin()
    assert not drain.is_over
