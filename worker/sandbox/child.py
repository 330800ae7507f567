"""The child's half of the sandbox: asks its parent for bytes, runs one task, answers, and is gone.

Everything here runs between fork and `os._exit`. It must not touch what the parent left half-done:
no atexit handler, no flush of inherited buffers, no finalizer of an inherited object.
"""

import faulthandler
import gc
import io
import json
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # ships no types

from shared.errors import Unanalysable
from shared.seekable_file import SeekableFile
from worker.sandbox.limits import ChildLimits, apply_limits, die_with_parent, raise_oom_score

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


FRAME = struct.Struct("!cQQ")
"""What a child says: a kind, then for READ an offset and a size, else the size of what follows and 0."""
LENGTH = struct.Struct("!I")
"""What a parent says before the bytes of a read."""
READ, ANSWER, PROBLEM, NO_MEMORY, BUG = b"R", b"A", b"P", b"M", b"B"

BUFFER_BYTES = 256 * 1024
MAX_READ_BYTES = 1 << 20
MAX_TRACEBACK_CHARS = 8_000
_SOCKET = 3
_FOR_THE_PARENT_ALONE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

Task = Callable[[BinaryIO], bytes]


def blas_threads() -> ThreadpoolController:
    """Find the BLAS libraries of this process: 30 ms, and again only after further imports."""
    return _blas_threads(len(sys.modules))


@lru_cache(maxsize=1)
def _blas_threads(_loaded_modules: int) -> ThreadpoolController:
    return ThreadpoolController()


def child_main(
    task: Task, *, link: socket.socket, size: int, parent_pid: int, limits: ChildLimits
) -> NoReturn:
    """Run *task* over the parent's *size* bytes of audio and end this process, whatever happens."""
    try:
        _detach_from_parent(link, parent_pid)
        apply_limits(limits)
        kind, payload = _run(task, size)
        _write(FRAME.pack(kind, len(payload), 0))
        _write(payload)
    finally:
        os._exit(0)


def _detach_from_parent(link: socket.socket, parent_pid: int) -> None:
    gc.freeze()  # else a collection here could close descriptors that garbage of the parent still owns
    faulthandler.disable()  # it writes to a descriptor number that is about to mean something else
    for handled in signal.valid_signals():
        if callable(signal.getsignal(handled)):
            signal.signal(handled, signal.SIG_DFL)
    for ignored in _FOR_THE_PARENT_ALONE:  # a Ctrl-C reaches the whole group; only our parent ends us
        signal.signal(ignored, signal.SIG_IGN)
    die_with_parent(parent_pid)
    raise_oom_score()
    # OpenBLAS would start its threads anew in here, and spins for ever when it may not.
    blas_threads().limit(limits=1, user_api="blas")
    kept = os.dup(link.fileno())  # out of the way of the numbers below
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.dup2(kept, _SOCKET)
    os.closerange(_SOCKET + 1, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(task: Task, size: int) -> tuple[bytes, bytes]:
    try:
        return ANSWER, task(io.BufferedReader(_ParentsAudio(size), BUFFER_BYTES))
    except MemoryError:
        return NO_MEMORY, b""
    except Unanalysable as error:
        fields = {"type": type(error).__name__, "code": error.code, "message": error.message}
        return PROBLEM, json.dumps(fields | {"detail": _traceback(error)}).encode()
    except BaseException as error:  # nothing may unwind into the frames that this process inherited
        return BUG, _traceback(error).encode(errors="replace")


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]


class _ParentsAudio(SeekableFile):
    """The audio, as bytes asked of the parent one range at a time."""

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), MAX_READ_BYTES, self.size_bytes - self._at)
        if wanted <= 0:
            return 0
        _write(FRAME.pack(READ, self._at, wanted))
        (length,) = LENGTH.unpack(_receive(memoryview(bytearray(LENGTH.size))))
        _receive(view[:length])
        self._at += length
        return int(length)


def _receive(view: memoryview) -> memoryview:
    done = 0
    while done < len(view):
        count = os.readv(_SOCKET, [view[done:]])
        if count == 0:  # the parent is gone, and nobody is left to tell
            os._exit(1)
        done += count
    return view


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_SOCKET, view) :]
