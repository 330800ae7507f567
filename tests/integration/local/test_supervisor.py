"""Starts that fail, lost parents, and which signals a stop counts."""

import subprocess
import sys

import pytest

from local.lifeline import Lifeline
from local.processes import CannotStart, Command
from local.supervisor import StopSignals, Supervisor
from tests.support.fake_commands import STUBBORN


def test_a_signal_between_the_end_of_the_watch_and_the_stop_kills_at_once() -> None:
    stop, lines = StopSignals(), []
    lifeline = Lifeline()
    try:
        supervisor = Supervisor(
            lifeline=lifeline, stop=stop, log=lambda name, line: lines.append(f"{name} {line}")
        )
        says_when_ready = STUBBORN.replace("time.sleep", "print('ready', flush=True); time.sleep")
        supervisor.start(
            Command("stubborn", [sys.executable, "-c", says_when_ready], stop_seconds=30), env={}
        )
        supervisor.wait_until(lambda: "stubborn ready" in lines, name="stubborn", timeout_seconds=60)
        stop.count = 1
        supervisor.watch()
        stop.count = 2
        supervisor.stop()
    finally:
        lifeline.close()
    assert lines == ["stubborn ready"]


def test_a_start_that_takes_too_long_says_what_is_missing() -> None:
    lifeline = Lifeline()
    try:
        supervisor = Supervisor(lifeline=lifeline, stop=StopSignals(), log=lambda *_: None)
        with pytest.raises(CannotStart, match=r"waiting for a worker after 0 s\. Redis is unavailable\. See"):
            supervisor.wait_until(
                lambda: False, name="a worker", timeout_seconds=0, explain=lambda: "Redis is unavailable."
            )
    finally:
        lifeline.close()


FOSTER_PARENT = """
import ctypes, os, subprocess, sys, time
from local.lifeline import Lifeline
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
lifeline = Lifeline()
own = lifeline.spawn(["true"], env=dict(os.environ))
subprocess.run(["sh", "-c", "for n in 1 2 3; do sleep 0.1 & done"], check=True)
def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as found:
        return set(map(int, found.read().split()))
assert len(children()) >= 3
while len(children()) > 2:
    lifeline.reap_orphans()
    time.sleep(0.01)
assert own.pid in children(), "its exit status is for whoever started it"
assert own.wait() == 0
lifeline.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="process 1 of a container")
def test_orphans_are_reaped_and_own_children_are_not() -> None:
    subprocess.run([sys.executable, "-c", FOSTER_PARENT], check=True, timeout=60)
