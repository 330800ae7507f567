"""Runs a task over a stranger's file in a forked child that can reach nothing but the bytes we hand it.

Knows processes, not audio. Whatever becomes of the child is an outcome here; it is always reaped.
The answer is a stranger's too: parse it, never unpickle it.
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
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from shared.errors import AudioMissing, Crashed, KammertonError, TooComplex, Unanalysable, Undecodable
from worker.sandbox import child as wire
from worker.sandbox.limits import ChildLimits, memory_of_this_process

KEEP_GOING_SECONDS = 0.25
# Between the end of the child's socket and its own. What it died of stands before its socket closes.
_GRACE_SECONDS = 0.4
# A read of a byte costs storage as much as one of this many: it bounds the number of reads too.
_MIN_CHARGE_BYTES = 1 << 16
_MAX_MESSAGE_CHARS = 300
_MAX_FAILURE_BYTES = 1 << 16
_CARRIED_OVER = {kind.__name__: kind for kind in (Unanalysable, Undecodable, TooComplex, AudioMissing)}
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024

_TOO_MUCH_TIME = "The file takes too long to decode."
_TOO_MUCH_MEMORY = "The file takes too much memory to decode."
_TOO_MUCH_READING = "The decoder asked for more of the file than one job may read."
_DIED = "The decoder died while it read the file."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """How a child ended, and what it cost."""

    answer: bytes | None
    """What the task returned; None if and only if there is a problem."""
    problem: KammertonError | None
    detail: str
    """For the operator's log, never for the client: a traceback, a signal; may be empty."""
    memory_peak_bytes: int
    """Peak resident memory of the child, less what it inherited (on macOS with it).

    Inherited pages that the child wrote to, and so has copies of, are not in here.
    """
    cpu_seconds: float
    wall_seconds: float
    storage_seconds: float
    """Of *wall_seconds*, what the child spent waiting for its reads."""
    bytes_read: int

    def unwrap(self) -> bytes:
        """Return the answer, or raise the problem (`Unanalysable` or `Crashed`)."""
        if self.problem is not None:
            raise self.problem
        return self.answer or b""


def run_sandboxed(
    task: wire.Task, audio: BinaryIO, *, limits: ChildLimits, on_tick: Callable[[], None]
) -> ChildOutcome:
    """Run *task* in a forked child over *audio*, which stays with us: the child asks for each range.

    *on_tick* is called a few times a second, between reads; what it raises ends the child and
    comes out of here, as does what *audio* raises. Call this from a process without other threads.
    """
    size = audio.seek(0, os.SEEK_END)
    ours, theirs = socket.socketpair()
    with ours, _Child(ours, limits=limits, on_tick=on_tick) as child:
        with theirs:
            child.fork(task, theirs, size)
        try:
            child.serve(audio)
        except _Ended as ended:
            return child.outcome(ended)


class _Ended(Exception):
    """The child needs no more serving: it answered, or is to be stopped, or (neither) has died by itself."""

    def __init__(
        self, *, answer: bytes | None = None, problem: KammertonError | None = None, detail: str = ""
    ) -> None:
        super().__init__(detail)
        self.answer = answer
        self.problem = problem
        self.detail = detail


class _Child:
    """One child from fork to wait; leaving its context kills and reaps it if nothing else has."""

    def __init__(self, link: socket.socket, *, limits: ChildLimits, on_tick: Callable[[], None]) -> None:
        link.setblocking(False)
        self._link = link
        self._poll = select.poll()
        self._limits = limits
        self._on_tick = on_tick
        self._pid = 0
        self._started = time.monotonic()
        self._kept_going = self._started
        self._storage_seconds = 0.0
        self._bytes_read = 0
        self._charged_bytes = 0
        self._inherited_bytes = 0

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            self._reap(patience_seconds=0)

    def fork(self, task: wire.Task, link: socket.socket, size: int) -> None:
        """Start the child; *link* is its end of the socket pair."""
        parent_pid = os.getpid()
        wire.blas_threads()
        self._inherited_bytes = memory_of_this_process("RssAnon")
        # Until the child has let go of our signal handlers it must not run them in our name.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                wire.child_main(task, link=link, size=size, parent_pid=parent_pid, limits=self._limits)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def serve(self, audio: BinaryIO) -> NoReturn:
        """Answer the child's reads; raises `_Ended` when there is nothing more to serve."""
        while True:
            kind, first, second = wire.FRAME.unpack(self._receive(wire.FRAME.size))
            if kind != wire.READ:
                self._final_message(kind, size=first)
            if second > wire.MAX_READ_BYTES:
                raise _Ended(problem=Crashed(_DIED), detail="it asked for a read above the protocol's limit")
            data = self._read(audio, offset=first, size=second)
            self._send(wire.LENGTH.pack(len(data)) + data)

    def outcome(self, ended: _Ended) -> ChildOutcome:
        """Stop and reap the child and say how it ended."""
        died_by_itself = ended.answer is None and ended.problem is None
        status, usage = self._reap(patience_seconds=_GRACE_SECONDS if died_by_itself else 0)
        problem, detail = _meaning(status) if died_by_itself else (ended.problem, ended.detail)
        return ChildOutcome(
            answer=ended.answer,
            problem=problem,
            detail=detail,
            memory_peak_bytes=max(0, usage.ru_maxrss * _RSS_UNIT_BYTES - self._inherited_bytes),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            wall_seconds=time.monotonic() - self._started,
            storage_seconds=self._storage_seconds,
            bytes_read=self._bytes_read,
        )

    def _final_message(self, kind: bytes, *, size: int) -> NoReturn:
        if kind == wire.NO_MEMORY:
            raise _Ended(problem=TooComplex(_TOO_MUCH_MEMORY))
        most = self._limits.answer_bytes if kind == wire.ANSWER else _MAX_FAILURE_BYTES
        if kind not in (wire.ANSWER, wire.PROBLEM, wire.BUG) or size > most:
            raise _Ended(problem=Crashed(_DIED), detail=f"it said {kind!r} with {size} bytes")
        words = self._receive(size)
        if kind == wire.ANSWER:
            raise _Ended(answer=words)
        if kind == wire.BUG:
            raise _Ended(problem=Crashed(_DIED), detail=words.decode(errors="replace"))
        try:
            fields = json.loads(words)
            error = _CARRIED_OVER[fields["type"]]
            problem = error(str(fields["message"])[:_MAX_MESSAGE_CHARS], code=str(fields["code"])[:40])
            raise _Ended(problem=problem, detail=str(fields["detail"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _Ended(problem=Crashed(_DIED), detail=f"its last words made no sense: {error}") from error

    def _read(self, audio: BinaryIO, *, offset: int, size: int) -> bytes:
        self._charged_bytes += max(size, _MIN_CHARGE_BYTES)
        if self._charged_bytes > self._limits.read_bytes:
            raise _Ended(problem=TooComplex(_TOO_MUCH_READING))
        before = time.monotonic()
        audio.seek(offset)
        data = audio.read(size)
        # A slow store is no reason to call the file too complex: the clock below stands still here.
        self._storage_seconds += time.monotonic() - before
        self._bytes_read += len(data)
        return data

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait_for(select.POLLIN)
            with suppress(BlockingIOError):
                try:
                    part = self._link.recv(min(size - len(data), 1 << 16))
                except ConnectionResetError:
                    part = b""
                if not part:
                    raise _Ended
                data += part
        return bytes(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait_for(select.POLLOUT)
            with suppress(BlockingIOError):
                try:
                    view = view[self._link.send(view) :]
                except (BrokenPipeError, ConnectionResetError):
                    raise _Ended from None

    def _wait_for(self, events: int) -> None:
        """Wait until the socket is ready, calling `on_tick` and watching the clock meanwhile."""
        self._poll.register(self._link, events)
        while True:
            now = time.monotonic()
            if now - self._kept_going >= KEEP_GOING_SECONDS:
                self._on_tick()
                self._kept_going = time.monotonic()
            left = self._started + self._storage_seconds + self._limits.wall_seconds - now
            if left <= 0:
                raise _Ended(problem=TooComplex(_TOO_MUCH_TIME), detail="the wall clock ran out")
            if self._poll.poll(1000 * min(left, KEEP_GOING_SECONDS)):
                return

    def _reap(self, *, patience_seconds: float) -> tuple[int, resource.struct_rusage]:
        """Wait for the child, killing it when patience ends. Returns its wait status and what it used."""
        deadline = time.monotonic() + patience_seconds
        pid = 0
        while pid == 0 and time.monotonic() < deadline:
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            time.sleep(0 if pid else 0.002)
        if pid == 0:
            os.kill(self._pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._pid, 0)
        self._pid = 0
        return status, usage


def _meaning(status: int) -> tuple[KammertonError, str]:
    """Say why a child is gone that neither answered nor was stopped by us."""
    if not os.WIFSIGNALED(status):
        return Crashed(_DIED), f"it left without a word, exit status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return TooComplex(_TOO_MUCH_TIME), "SIGXCPU"
    return Crashed(_DIED), signal.Signals(number).name
