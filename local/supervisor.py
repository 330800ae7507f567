"""Restarts processes that end, and stops all of them in the reverse order of their start."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType

from local.fork_server.client import ForkServerClient
from local.lifeline import Lifeline
from local.processes import CannotStart, Command, Log, Process, describe

POLL_SECONDS = 0.05
READY_POLL_SECONDS = 0.2
MAX_READY_POLL_SECONDS = 2.0  # each poll of the API is a line in its log
MIN_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
BACKOFF_RESET_SECONDS = 60.0  # after this uptime, the backoff starts again
NOTICE_SECONDS = 15.0
REAP_SECONDS = 2.0


class StopRequested(Exception):
    """Raised after Ctrl-C or SIGTERM."""


class StopSignals:
    """Counts signals that ask to stop. The handler only counts; every wait checks the count."""

    def __init__(self) -> None:
        self.count = 0

    def install(self) -> None:
        """Install the handlers, for the rest of this process."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (
                number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
            ):  # keep the choice of nohup
                signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


class Supervisor:
    """Starts, watches and stops processes. Main thread only."""

    def __init__(
        self,
        *,
        lifeline: Lifeline,
        stop: StopSignals,
        log: Log,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        self._lifeline = lifeline
        self._fork_server = fork_server
        self._stop = stop
        self._log = log
        self._supervised: list[_Supervised] = []
        self._signals_seen = 1

    def start(self, command: Command, *, env: Mapping[str, str]) -> None:
        """Start the next process."""
        supervised = _Supervised(
            Process(command, lifeline=self._lifeline, env=env, log=self._log, fork_server=self._fork_server)
        )
        self._supervised.append(supervised)
        supervised.start()

    def wait_until(
        self,
        is_ready: Callable[[], bool],
        *,
        name: str,
        timeout_seconds: float,
        explain: Callable[[], str] = lambda: "",
    ) -> None:
        """Wait until *is_ready*. Raises CannotStart if a process ends first, or after the timeout.

        *explain* says what is missing.
        """
        began = time.monotonic()
        notice = began + NOTICE_SECONDS
        while True:
            if self._stop.count:
                self._signals_seen = self._stop.count
                raise StopRequested
            for supervised in self._supervised:
                if not supervised.process.running:
                    raise CannotStart(_final_message(supervised.process))
            if is_ready():
                return
            waited = time.monotonic() - began
            if waited > timeout_seconds:
                raise CannotStart(
                    f"gave up waiting for {name} after {timeout_seconds:.0f} s. {explain()}".rstrip()
                    + " See the logs in the data folder."
                )
            if time.monotonic() > notice:
                notice += NOTICE_SECONDS
                self._log("local", f"still waiting for {name}, {waited:.0f} s so far. {explain()}".rstrip())
            time.sleep(min(max(READY_POLL_SECONDS, waited / 20), MAX_READY_POLL_SECONDS))

    def watch(self) -> None:
        """Restart every process that ends, until a signal. Raises CannotStart if their guard has ended."""
        next_reaping = 0.0
        while not self._stop.count:
            if not self._lifeline.is_guarded:
                raise CannotStart("The guard of our processes has ended, so all of them stop. Start again.")
            for supervised in self._supervised:
                supervised.restart_if_ended(self._log)
            if os.getpid() == 1 and time.monotonic() >= next_reaping:
                self._lifeline.reap_orphans()
                next_reaping = time.monotonic() + REAP_SECONDS
            time.sleep(POLL_SECONDS)
        self._signals_seen = self._stop.count

    def stop(self) -> None:
        """Stop one after the other, the last started first. A process that exceeds its time is killed.

        Unused time passes to the next process. Another signal than those that ended the watch or the
        start kills the rest at once.
        """
        deadline = time.monotonic()
        while self._supervised:
            process = self._supervised[-1].process
            deadline += process.command.stop_seconds
            process.request_stop()
            while not process.wait_until(min(deadline, time.monotonic() + POLL_SECONDS)):
                if self._stop.count > self._signals_seen:
                    break
                if time.monotonic() >= deadline:
                    self._log("local", f"{process.name} did not stop in time: killed")
                    break
            process.kill()
            self._supervised.pop()


class _Supervised:
    """A process and when to restart it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._backoff = MIN_BACKOFF_SECONDS
        self._started = 0.0
        self._start_at: float | None = None

    def start(self) -> None:
        self.process.start()
        self._started, self._start_at = time.monotonic(), None

    def restart_if_ended(self, log: Log) -> None:
        now = time.monotonic()
        if self._start_at is not None:
            if now >= self._start_at:
                self.start()
            return
        if self.process.running:
            return
        ending = describe(self.process.status)
        self.process.kill()
        if now - self._started >= BACKOFF_RESET_SECONDS:
            self._backoff = MIN_BACKOFF_SECONDS
        log("local", f"{self.process.name} {ending}: started again in {self._backoff:g} s")
        self._start_at = now + self._backoff
        self._backoff = min(2 * self._backoff, MAX_BACKOFF_SECONDS)


def _final_message(process: Process) -> str:
    ending = describe(process.status)
    process.kill()  # reads its log to the end
    lines = "".join(f"\n    {line}" for line in process.tail) or " nothing"
    return f"{process.name} {ending} while it was starting. Its last lines:{lines}"
