"""Keeps a row of processes alive, and ends them in the reverse order of their start."""

import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType

from local.lifeline import Lifeline
from local.processes import CannotStart, Command, Log, Process, describe

POLL_SECONDS = 0.05
ASK_SECONDS = 0.2
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a process that lived so long is trusted again
STILL_WAITING_SECONDS = 15.0


class StopRequested(Exception):
    """Someone pressed Ctrl-C, or sent SIGTERM."""


class StopButton:
    """Counts the requests to stop. Nothing is torn apart by a signal: each wait looks here."""

    def __init__(self) -> None:
        self.pressed = 0

    def listen(self) -> None:
        """From now on, for the life of this process."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants
                signal.signal(number, self._press)

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        self.pressed += 1


class Supervisor:
    """Starts, watches, stops. Everything on the main thread."""

    def __init__(self, *, lifeline: Lifeline, stop: StopButton, log: Log) -> None:
        self._lifeline = lifeline
        self._stop = stop
        self._log = log
        self._kept: list[_Kept] = []

    def start(self, command: Command, *, env: Mapping[str, str]) -> None:
        """The next process of the row."""
        kept = _Kept(Process(command, lifeline=self._lifeline, env=env, log=self._log))
        self._kept.append(kept)
        kept.start()

    def wait_until(self, answers: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Until it answers. A process that ends meanwhile won't be better the second time."""
        deadline = time.monotonic() + seconds
        notice = time.monotonic() + STILL_WAITING_SECONDS
        while True:
            if self._stop.pressed:
                raise StopRequested
            for kept in self._kept:
                if not kept.process.running:
                    raise CannotStart(_final_message(kept.process))
            if answers():
                return
            if time.monotonic() > deadline:
                raise CannotStart(f"{what} did not answer within {seconds:.0f} s: read the lines above.")
            if time.monotonic() > notice:
                notice += STILL_WAITING_SECONDS
                self._log("local", f"still waiting for {what}")
            time.sleep(ASK_SECONDS)

    def watch(self) -> None:
        """Start again whatever ends, until someone wants to stop."""
        while not self._stop.pressed:
            for kept in self._kept:
                kept.look_after(self._log)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """One after the other, the last started first. What overstays its seconds is killed.

        Seconds that one does not need are left to the next. Pressing again kills the rest at once.
        """
        pressed, deadline = self._stop.pressed, time.monotonic()
        while self._kept:
            process = self._kept[-1].process
            deadline += process.command.stop_seconds
            process.ask_to_stop()
            while not process.ended_by(min(deadline, time.monotonic() + POLL_SECONDS)):
                if self._stop.pressed > max(pressed, 1):
                    break
                if time.monotonic() >= deadline:
                    self._log("local", f"{process.name} did not stop in time: killed")
                    break
            process.clear()
            self._kept.pop()


class _Kept:
    """A process and when to start it again."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._pause = FIRST_PAUSE_SECONDS
        self._started = 0.0
        self._start_at: float | None = None

    def start(self) -> None:
        self.process.start()
        self._started, self._start_at = time.monotonic(), None

    def look_after(self, log: Log) -> None:
        now = time.monotonic()
        if self._start_at is not None:
            if now >= self._start_at:
                self.start()
            return
        if self.process.running:
            return
        ending = describe(self.process.status)
        self.process.clear()
        if now - self._started >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        log("local", f"{self.process.name} {ending}: started again in {self._pause:g} s")
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)


def _final_message(process: Process) -> str:
    ending = describe(process.status)
    process.clear()  # reads its log to the end
    lines = "".join(f"\n    {line}" for line in process.tail) or " nothing"
    return f"{process.name} {ending} while it was starting. Its last lines say why:{lines}"
