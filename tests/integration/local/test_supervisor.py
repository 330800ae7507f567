"""Which signals a stop counts."""

import sys

from local.lifeline import Lifeline
from local.processes import Command
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
