"""A child process: its command, its start and stop, its log with a prefix."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.fork_server.client import ForkedCommand, ForkServerClient
from local.lifeline import Lifeline

Log = Callable[[str, str], None]

TAIL_LINES = 8
LINE_BYTES = 64 * 1024  # a longer line is cut into several


class CannotStart(Exception):
    """Raised with one sentence for the user: what is wrong and what to do."""


@dataclass(frozen=True)
class Command:
    """A command line, and how to stop the process."""

    name: str
    argv: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 2.0
    stop_signal: signal.Signals = signal.SIGTERM
    is_forked: bool = False
    """Whether the fork server may run it. *argv* is then `python -m …`."""


def log_to_stderr(name: str, line: str) -> None:
    """Write one line with its prefix. Errors of a closed terminal are ignored."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{name:<8}| {line}\n")
        sys.stderr.flush()


class Process:
    """A process that can be started, stopped, and started again."""

    def __init__(
        self,
        command: Command,
        *,
        lifeline: Lifeline,
        env: Mapping[str, str],
        log: Log,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        """Does not start it."""
        self.command = command
        self.name = command.name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lifeline = lifeline
        self._env = {**env, **command.env}
        self._log = log
        self._fork_server = fork_server if command.is_forked else None
        self._popen: subprocess.Popen[bytes] | ForkedCommand | None = None
        self._log_thread: threading.Thread | None = None

    def start(self) -> None:
        """Start it. Main thread only: see `Lifeline.spawn`."""
        spawn = (self._fork_server or self._lifeline).spawn
        self._popen = spawn(self.command.argv, env=self._env)
        self._log_thread = threading.Thread(target=self._copy_log, args=[self._popen], daemon=True)
        self._log_thread.start()

    @property
    def pid(self) -> int:
        """Process id of the command, which is also its process group."""
        assert self._popen is not None, "not started"  # noqa: S101 - a bug
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs or before it is started."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self.status is None

    def request_stop(self) -> None:
        """Send the stop signal to the command only. It stops its own children."""
        if self._popen and self.running:
            self._popen.send_signal(self.command.stop_signal)

    def wait_until(self, deadline: float) -> bool:
        """Wait until it ends, at most until *deadline*. Returns whether it ended."""
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.running

    def kill(self) -> None:
        """Kill it and its children, and read its log to the end."""
        if self._popen is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._lifeline.forget(self._popen.pid)
        if self._log_thread:
            self._log_thread.join(timeout=1)
        self._popen = None

    def _copy_log(self, popen: subprocess.Popen[bytes] | ForkedCommand) -> None:
        assert popen.stdout is not None  # noqa: S101 - stdout is a pipe
        with popen.stdout as lines:
            while raw := lines.readline(LINE_BYTES):
                line = raw.decode(errors="replace").rstrip()
                self.tail.append(line)
                self._log(self.name, line)


def describe(status: int | None) -> str:
    """An exit status as text."""
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"
