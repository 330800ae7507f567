"""Runs a task over an untrusted file in a forked child that can reach nothing but the file's bytes.

Knows processes, not audio. Every end of a child is an outcome, and every child is reaped. The answer is
untrusted too: parse it, never unpickle it.
"""

import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, NoReturn

from shared.errors import AudioMissing, Crashed, KammertonError, TooComplex, Unanalysable, Undecodable
from worker.sandbox import child as wire
from worker.sandbox.limits import ChildLimits, memory_of_this_process

TICK_SECONDS = 0.25
# How long a child may live on after its socket closes. The kernel sets the exit status before it closes it.
_EXIT_GRACE_SECONDS = 0.4
# One byte costs storage as much as this many. This also limits the number of reads.
_MIN_CHARGE_BYTES = 1 << 16
_MAX_MESSAGE_CHARS = 300
_MAX_FAILURE_BYTES = 1 << 16
_ERROR_TYPES = {kind.__name__: kind for kind in (Unanalysable, Undecodable, TooComplex, AudioMissing)}
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024

_TOO_MUCH_TIME = "The file takes too long to decode. Convert it to FLAC or WAV, then try again."
_TOO_MUCH_MEMORY = "The file takes too much memory to decode. Convert it to FLAC or WAV, then try again."
_TOO_MUCH_READING = "The decoder needs more of the file than one job can read. Cut the file, then try again."
_CRASHED = "The decoder crashed on the file. Convert it to FLAC or WAV, then try again."
_BUG = "The analysis failed because of an error in this service. It is tried again."
# A decoder doesn't send itself these. The out-of-memory killer sends SIGKILL.
_SIGNALS_FROM_OUTSIDE = {"SIGKILL", "SIGTERM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """How a child ended and what it used.

    Its problem is an `Unanalysable` if the file caused it, and `Crashed` if the machine or Kammerton did.
    """

    answer: bytes | None
    """The task's return value. None if and only if there is a problem."""
    problem: KammertonError | None
    detail: str
    """For the log, never for the client: a traceback or a signal. Can be empty."""
    memory_peak_bytes: int
    """Peak resident memory of the child without inherited memory (with it on macOS).

    Does not count the copies of inherited pages that the child wrote to.
    """
    cpu_seconds: float
    wall_seconds: float
    storage_seconds: float
    """The part of *wall_seconds* that the child waited for reads."""
    bytes_read: int
    has_crashed: bool = False
    """True if the child died or broke the protocol."""

    def unwrap(self) -> bytes:
        """Return the answer or raise the problem (Unanalysable or Crashed)."""
        if self.problem is not None:
            raise self.problem
        return self.answer or b""


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
    first = _run_once(task, audio, limits=limits, on_tick=on_tick)
    if not first.has_crashed or first.detail in _SIGNALS_FROM_OUTSIDE:
        return first
    second = _run_once(cautious_task or task, audio, limits=limits, on_tick=on_tick)
    is_repeated = second.has_crashed and second.detail == first.detail
    return replace(
        second,
        problem=Undecodable(_CRASHED) if is_repeated else second.problem,
        detail=second.detail or f"the first child died: {first.detail}",
        memory_peak_bytes=max(first.memory_peak_bytes, second.memory_peak_bytes),
        cpu_seconds=first.cpu_seconds + second.cpu_seconds,
        wall_seconds=first.wall_seconds + second.wall_seconds,
        storage_seconds=first.storage_seconds + second.storage_seconds,
        bytes_read=first.bytes_read + second.bytes_read,
    )


def _run_once(
    task: wire.Task, audio: BinaryIO, *, limits: ChildLimits, on_tick: Callable[[], None]
) -> ChildOutcome:
    size = audio.seek(0, os.SEEK_END)
    parent_socket, child_socket = socket.socketpair()
    with parent_socket, _Child(parent_socket, limits=limits, on_tick=on_tick) as child:
        with child_socket:
            child.fork(task, child_socket, size)
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
    """One child from fork to wait. Leaving the context kills and reaps it if it still exists."""

    def __init__(
        self, connection: socket.socket, *, limits: ChildLimits, on_tick: Callable[[], None]
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._poll = select.poll()
        self._limits = limits
        self._on_tick = on_tick
        self._pid = 0
        self._started = time.monotonic()
        self._last_tick = self._started
        self._storage_seconds = 0.0
        self._bytes_read = 0
        self._charged_bytes = 0
        self._inherited_bytes = 0

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            self._reap(timeout_seconds=0)

    def fork(self, task: wire.Task, connection: socket.socket, size: int) -> None:
        """Start the child. *connection* is its end of the socket pair."""
        parent_pid = os.getpid()
        wire.blas_threads()
        self._inherited_bytes = memory_of_this_process("RssAnon")
        # The child must not run inherited signal handlers before it removes them.
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                wire.child_main(
                    task, connection=connection, size=size, parent_pid=parent_pid, limits=self._limits
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)

    def serve(self, audio: BinaryIO) -> NoReturn:
        """Answer the child's reads until it raises _ChildEnded."""
        while True:
            kind, first, second = wire.FRAME.unpack(self._receive(wire.FRAME.size))
            if kind != wire.READ:
                self._final_message(kind, size=first)
            if second > wire.MAX_READ_BYTES:
                raise _ChildEnded(
                    problem=Undecodable(_CRASHED), detail="it requested a read above the protocol's limit"
                )
            data = self._read(audio, offset=first, size=second)
            self._send(wire.LENGTH.pack(len(data)) + data)

    def outcome(self, ended: _ChildEnded) -> ChildOutcome:
        """Stop and reap the child, and return how it ended."""
        died = ended.answer is None and ended.problem is None
        status, usage = self._reap(timeout_seconds=_EXIT_GRACE_SECONDS if died else 0)
        problem, detail = _explain_status(status) if died else (ended.problem, ended.detail)
        return ChildOutcome(
            answer=ended.answer,
            problem=problem,
            detail=detail,
            memory_peak_bytes=max(0, usage.ru_maxrss * _RSS_UNIT_BYTES - self._inherited_bytes),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            wall_seconds=time.monotonic() - self._started,
            storage_seconds=self._storage_seconds,
            bytes_read=self._bytes_read,
            has_crashed=died and isinstance(problem, Crashed),
        )

    def _final_message(self, kind: bytes, *, size: int) -> NoReturn:
        if kind == wire.NO_MEMORY:
            raise _ChildEnded(problem=TooComplex(_TOO_MUCH_MEMORY))
        max_bytes = self._limits.answer_bytes if kind == wire.ANSWER else _MAX_FAILURE_BYTES
        if kind not in (wire.ANSWER, wire.PROBLEM, wire.DECODER_ERROR, wire.BUG) or size > max_bytes:
            raise _ChildEnded(problem=Undecodable(_CRASHED), detail=f"it sent {kind!r} with {size} bytes")
        payload = self._receive(size)
        if kind == wire.ANSWER:
            raise _ChildEnded(answer=payload)
        if kind == wire.BUG:
            raise _ChildEnded(problem=Crashed(_BUG), detail=payload.decode(errors="replace"))
        if kind == wire.DECODER_ERROR:
            raise _ChildEnded(problem=Undecodable(_CRASHED), detail=payload.decode(errors="replace"))
        try:
            fields = json.loads(payload)
            error = _ERROR_TYPES[fields["type"]]
            problem = error(str(fields["message"])[:_MAX_MESSAGE_CHARS], code=str(fields["code"])[:40])
            raise _ChildEnded(problem=problem, detail=str(fields["detail"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _ChildEnded(
                problem=Undecodable(_CRASHED), detail=f"its final message is invalid: {error}"
            ) from error

    def _read(self, audio: BinaryIO, *, offset: int, size: int) -> bytes:
        self._charged_bytes += max(size, _MIN_CHARGE_BYTES)
        if self._charged_bytes > self._limits.read_bytes:
            raise _ChildEnded(problem=TooComplex(_TOO_MUCH_READING))
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
                raise _ChildEnded(problem=TooComplex(_TOO_MUCH_TIME), detail="the wall clock ran out")
            if self._poll.poll(1000 * min(remaining, TICK_SECONDS)):
                return

    def _reap(self, *, timeout_seconds: float) -> tuple[int, resource.struct_rusage]:
        """Wait for the child and kill it after the timeout. Returns its wait status and resource usage."""
        deadline = time.monotonic() + timeout_seconds
        pid = 0
        while pid == 0 and time.monotonic() < deadline:
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            time.sleep(0 if pid else 0.002)
        if pid == 0:
            os.kill(self._pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._pid, 0)
        self._pid = 0
        return status, usage


def _explain_status(status: int) -> tuple[KammertonError, str]:
    """Explain the wait status of a child that died before it answered."""
    if not os.WIFSIGNALED(status):
        return Crashed(
            _CRASHED
        ), f"it exited without an answer, exit status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return TooComplex(_TOO_MUCH_TIME), "SIGXCPU"
    return Crashed(_CRASHED), signal.Signals(number).name
