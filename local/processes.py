"""One child process: its command, its life, its log with a prefix."""

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

from local.lifeline import Lifeline

Log = Callable[[str, str], None]

TAIL_LINES = 8
LINE_BYTES = 64 * 1024  # a longer line is cut into several


class CannotStart(Exception):
    """One sentence for the person at the terminal: what is wrong and what to do."""


@dataclass(frozen=True)
class Command:
    """What to run, and how it likes to be stopped."""

    name: str
    argv: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 2.0
    stop_signal: signal.Signals = signal.SIGTERM


def log_to_stderr(name: str, line: str) -> None:
    """Write one line with its prefix; a closed terminal is no reason to fall over."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{name:<8}| {line}\n")
        sys.stderr.flush()


class Process:
    """A command that may be started, stopped, and started again."""

    def __init__(self, command: Command, *, lifeline: Lifeline, env: Mapping[str, str], log: Log) -> None:
        """Starts nothing yet."""
        self.command = command
        self.name = command.name
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lifeline = lifeline
        self._env = {**env, **command.env}
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    def start(self) -> None:
        """From the main thread only: see `Lifeline.spawn`."""
        self._popen = self._lifeline.spawn(self.command.argv, env=self._env)
        self._pump = threading.Thread(target=self._copy_log, args=[self._popen], daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        """Of the command itself, which is also its process group."""
        assert self._popen is not None, "not started"  # noqa: S101 - a mistake of ours
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs or was never started."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        """Started and not yet ended."""
        return self._popen is not None and self.status is None

    def ask_to_stop(self) -> None:
        """Send the signal it likes to the command alone: its own children are its own affair."""
        if self._popen and self.running:
            self._popen.send_signal(self.command.stop_signal)

    def ended_by(self, deadline: float) -> bool:
        """Wait until then at the latest."""
        while self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.running

    def clear(self) -> None:
        """Kill what is left of it and of its children, and read its log to the end."""
        if self._popen is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._lifeline.forget(self._popen.pid)
        if self._pump:
            self._pump.join(timeout=1)
        self._popen = None

    def _copy_log(self, popen: subprocess.Popen[bytes]) -> None:
        assert popen.stdout is not None  # noqa: S101 - we asked for a pipe
        with popen.stdout as lines:
            while raw := lines.readline(LINE_BYTES):
                line = raw.decode(errors="replace").rstrip()
                self.tail.append(line)
                self._log(self.name, line)


def describe(status: int | None) -> str:
    """An exit status in words."""
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"
