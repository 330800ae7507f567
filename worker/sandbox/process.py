"""A sandboxed child process, and how to start one by forking the calling process."""

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from worker.sandbox import child as wire
from worker.sandbox.limits import ChildLimits, memory_of_this_process

_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReport:
    """How a child ended and what it used."""

    status: int
    """As from `os.wait`."""
    peak_bytes: int
    """Peak resident memory without inherited memory."""
    cpu_seconds: float

    @classmethod
    def from_usage(cls, status: int, usage: resource.struct_rusage, *, inherited_bytes: int) -> "ExitReport":
        """Return the report of a child that `os.wait4` found."""
        return cls(
            status=status,
            peak_bytes=max(0, usage.ru_maxrss * _RSS_UNIT_BYTES - inherited_bytes),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )

    def to_json(self) -> bytes:
        """Return the report for another process."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ExitReport":
        """Return a report that another process wrote."""
        return cls(**json.loads(data))


class ChildProcess(Protocol):
    """A child that was started."""

    def reap(self, *, timeout_seconds: float) -> ExitReport:
        """Wait for the child, kill it after the timeout, and return how it ended. Call it once.

        Raises Unavailable if the child could not be started.
        """


Launch = Callable[[socket.socket, int, ChildLimits, Callable[[], None]], ChildProcess]
"""Starts a child with its end of a socket pair, the size of the audio in bytes, and its limits.

Calls the last argument a few times a second while it waits.
"""


class ForkedProcess:
    """A child that is a fork of this process."""

    def __init__(self, pid: int, *, inherited_bytes: int) -> None:
        self.pid = pid
        self.inherited_bytes = inherited_bytes

    @classmethod
    def start(
        cls, task: wire.Task, connection: socket.socket, size: int, limits: ChildLimits
    ) -> "ForkedProcess":
        """Fork this process, which must not have other threads, to run *task*. Raises OSError."""
        parent_pid = os.getpid()
        wire.blas_threads()
        inherited_bytes = memory_of_this_process("RssAnon")
        # The child must not run inherited signal handlers before it removes them.
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                wire.child_main(task, connection=connection, size=size, parent_pid=parent_pid, limits=limits)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        return cls(pid, inherited_bytes=inherited_bytes)

    def kill(self) -> None:
        """Kill the child, which must not have been reaped."""
        os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> ExitReport | None:
        """Reap the child if it has ended."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        return ExitReport.from_usage(status, usage, inherited_bytes=self.inherited_bytes) if pid else None

    def reap(self, *, timeout_seconds: float) -> ExitReport:
        """Wait for the child and kill it after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if (report := self.poll()) is not None:
                return report
            time.sleep(0.002)
        self.kill()
        _, status, usage = os.wait4(self.pid, 0)
        return ExitReport.from_usage(status, usage, inherited_bytes=self.inherited_bytes)


def launch_by_fork(task: wire.Task) -> Launch:
    """Return a `Launch` that forks the calling process to run *task*."""

    def launch(
        connection: socket.socket, size: int, limits: ChildLimits, _: Callable[[], None]
    ) -> ChildProcess:
        return ForkedProcess.start(task, connection, size, limits)

    return launch
