"""Runs a task over an untrusted file in a forked child that can reach nothing but the file's bytes.

Knows processes, not audio. Every end of a child is an outcome, and every child is reaped. The answer is
untrusted too: parse it, never unpickle it.
"""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, NoReturn

from shared.errors import Crashed, KammertonError, OutOfMemory, Unavailable
from worker.file_problems import file_problem
from worker.sandbox import child as wire
from worker.sandbox.limits import ChildLimits, oom_kills
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.process import ChildProcess, ExitReport, Launch, launch_by_fork

TICK_SECONDS = 0.25
# How long a child may live on after its socket closes. The kernel sets the exit status before it closes it.
_EXIT_GRACE_SECONDS = 0.4
# One byte costs storage as much as this many. This also limits the number of reads.
_MIN_CHARGE_BYTES = 1 << 16
_MAX_FAILURE_BYTES = 1 << 16

_KILLED = "The process of the decoder was killed. The file is tried again."
_BUG = "The analysis failed because of an error in this service. It is tried again."
# A decoder doesn't send itself these. The out-of-memory killer sends SIGKILL.
_SIGNALS_FROM_OUTSIDE = {"SIGKILL", "SIGTERM"}


def run_sandboxed(
    task: wire.Task,
    audio: BinaryIO,
    *,
    limits: ChildLimits,
    on_tick: Callable[[], None],
    cautious_task: wire.Task | None = None,
) -> ChildOutcome:
    """Run *task* over *audio* in a forked child, which requests each range from this process.

    If the decoder kills the child, runs *cautious_task* (by default *task* again) in a second child. If
    that one dies of the same, the file is the cause.

    Calls *on_tick* a few times a second, between reads. Whatever *on_tick* or *audio* raises stops the
    child and is raised here. The calling process must not have other threads.
    """
    return run_launched(
        launch_by_fork(task),
        audio,
        limits=limits,
        on_tick=on_tick,
        launch_cautious=launch_by_fork(cautious_task or task),
    )


def run_launched(
    launch: Launch,
    audio: BinaryIO,
    *,
    limits: ChildLimits,
    on_tick: Callable[[], None],
    launch_cautious: Launch,
) -> ChildOutcome:
    """Do what `run_sandboxed` does, with children that *launch* and *launch_cautious* start.

    Raises Unavailable if no child can be started.
    """
    first = _run_once(launch, audio, limits=limits, on_tick=on_tick)
    if not first.has_crashed or first.detail in _SIGNALS_FROM_OUTSIDE:
        return first
    second = _run_once(launch_cautious, audio, limits=limits, on_tick=on_tick)
    is_repeated = second.has_crashed and second.detail == first.detail
    return replace(
        second.plus_cost_of(first),
        problem=file_problem("crashed") if is_repeated else second.problem,
        detail=second.detail or f"the first child died: {first.detail}",
    )


def _run_once(
    launch: Launch, audio: BinaryIO, *, limits: ChildLimits, on_tick: Callable[[], None]
) -> ChildOutcome:
    size = audio.seek(0, os.SEEK_END)
    try:
        parent_socket, child_socket = socket.socketpair()
    except OSError as error:
        raise Unavailable("The worker can't open another file.") from error
    with parent_socket, _Child(parent_socket, limits=limits, on_tick=on_tick) as child:
        with child_socket:
            child.start(launch, child_socket, size)
        try:
            child.serve(audio)
        except _ChildEnded as ended:
            return child.outcome(ended)


class _ChildEnded(Exception):
    """The child answered, must be stopped, or (neither answer nor problem) died."""

    def __init__(
        self, *, answer: bytes | None = None, problem: KammertonError | None = None, detail: str = ""
    ) -> None:
        super().__init__(detail)
        self.answer = answer
        self.problem = problem
        self.detail = detail


class _Child:
    """One child from start to exit report. Leaving the context kills and reaps it if it still exists."""

    def __init__(
        self, connection: socket.socket, *, limits: ChildLimits, on_tick: Callable[[], None]
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._poll = select.poll()
        self._limits = limits
        self._on_tick = on_tick
        self._process: ChildProcess | None = None
        self._started = time.monotonic()
        self._last_tick = self._started
        self._storage_seconds = 0.0
        self._bytes_read = 0
        self._charged_bytes = 0
        self._oom_kills = oom_kills()

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._reap(timeout_seconds=0)

    def start(self, launch: Launch, connection: socket.socket, size: int) -> None:
        """Start the child. *connection* is its end of the socket pair. Raises Unavailable."""
        try:
            self._process = launch(connection, size, self._limits, self._on_tick)
        except OSError as error:
            raise Unavailable("The worker can't start another process.") from error

    def serve(self, audio: BinaryIO) -> NoReturn:
        """Answer the child's reads until it raises _ChildEnded."""
        while True:
            kind, first, second = wire.FRAME.unpack(self._receive(wire.FRAME.size))
            if kind != wire.READ:
                self._final_message(kind, size=first)
            if second > wire.MAX_READ_BYTES:
                raise _ChildEnded(
                    problem=file_problem("crashed"), detail="it requested a read above the protocol's limit"
                )
            data = self._read(audio, offset=first, size=second)
            self._send(wire.LENGTH.pack(len(data)) + data)

    def outcome(self, ended: _ChildEnded) -> ChildOutcome:
        """Stop and reap the child, and return how it ended."""
        died = ended.answer is None and ended.problem is None
        report = self._reap(timeout_seconds=_EXIT_GRACE_SECONDS if died else 0)
        problem, detail = self._explain_status(report.status) if died else (ended.problem, ended.detail)
        return ChildOutcome(
            answer=ended.answer,
            problem=problem,
            detail=detail,
            memory_peak_bytes=report.peak_bytes,
            cpu_seconds=report.cpu_seconds,
            wall_seconds=time.monotonic() - self._started,
            storage_seconds=self._storage_seconds,
            bytes_read=self._bytes_read,
            has_crashed=died and isinstance(problem, Crashed),
        )

    def _final_message(self, kind: bytes, *, size: int) -> NoReturn:
        if kind == wire.NO_MEMORY:
            raise _ChildEnded(problem=file_problem("too_much_memory"))
        max_bytes = self._limits.answer_bytes if kind == wire.ANSWER else _MAX_FAILURE_BYTES
        if kind not in (wire.ANSWER, wire.PROBLEM, wire.DECODER_ERROR, wire.BUG) or size > max_bytes:
            raise _ChildEnded(problem=file_problem("crashed"), detail=f"it sent {kind!r} with {size} bytes")
        payload = self._receive(size)
        if kind == wire.ANSWER:
            raise _ChildEnded(answer=payload)
        if kind == wire.BUG:
            raise _ChildEnded(problem=Crashed(_BUG), detail=payload.decode(errors="replace"))
        if kind == wire.DECODER_ERROR:
            raise _ChildEnded(problem=file_problem("crashed"), detail=payload.decode(errors="replace"))
        try:
            fields = json.loads(payload)
            problem = file_problem(fields["problem"], *fields["numbers"])
            raise _ChildEnded(problem=problem)
        except (ValueError, LookupError, TypeError) as error:
            raise _ChildEnded(
                problem=file_problem("crashed"), detail=f"its final message is invalid: {error}"
            ) from error

    def _read(self, audio: BinaryIO, *, offset: int, size: int) -> bytes:
        self._charged_bytes += max(size, _MIN_CHARGE_BYTES)
        if self._charged_bytes > self._limits.read_bytes:
            raise _ChildEnded(problem=file_problem("too_much_reading"))
        started = time.monotonic()
        audio.seek(offset)
        data = audio.read(size)
        # Slow storage does not make a file too complex: the wall clock stops meanwhile.
        self._storage_seconds += time.monotonic() - started
        self._bytes_read += len(data)
        return data

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait_for(select.POLLIN)
            with suppress(BlockingIOError):
                try:
                    part = self._connection.recv(min(size - len(data), 1 << 16))
                except ConnectionResetError:
                    part = b""
                if not part:
                    raise _ChildEnded
                data += part
        return bytes(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait_for(select.POLLOUT)
            with suppress(BlockingIOError):
                try:
                    view = view[self._connection.send(view) :]
                except (BrokenPipeError, ConnectionResetError):
                    raise _ChildEnded from None

    def _wait_for(self, events: int) -> None:
        """Wait until the socket is ready. Meanwhile call `on_tick` and check the wall clock."""
        self._poll.register(self._connection, events)
        while True:
            now = time.monotonic()
            if now - self._last_tick >= TICK_SECONDS:
                self._on_tick()
                self._last_tick = time.monotonic()
            remaining = self._started + self._storage_seconds + self._limits.wall_seconds - now
            if remaining <= 0:
                raise _ChildEnded(problem=file_problem("too_much_time"), detail="the wall clock ran out")
            if self._poll.poll(1000 * min(remaining, TICK_SECONDS)):
                return

    def _reap(self, *, timeout_seconds: float) -> ExitReport:
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("This child was not started or is reaped already.")
        return process.reap(timeout_seconds=timeout_seconds)

    def _explain_status(self, status: int) -> tuple[KammertonError, str]:
        """Explain the wait status of a child that died before it answered."""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number == signal.SIGXCPU:
                return file_problem("too_much_time"), "SIGXCPU"
            if number == signal.SIGKILL and oom_kills() != self._oom_kills:
                return OutOfMemory("The worker's machine ran out of memory."), "killed for want of memory"
            return Crashed(_KILLED), signal.Signals(number).name
        exit_status = os.waitstatus_to_exitcode(status)
        # once it has read from the file, the file may be what made it exit
        if exit_status == wire.SETUP_FAILED and self._charged_bytes == 0:
            return Unavailable("The worker can't prepare another process."), "its start failed"
        return Crashed(_KILLED), f"it exited without an answer, exit status {exit_status}"
