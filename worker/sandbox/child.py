"""The child side of the sandbox: requests bytes from its parent, runs one task, answers and exits.

Everything here runs between fork and `os._exit`. It must not touch inherited state: no atexit handler,
no flush of inherited buffers, no finalizer of an inherited object.
"""

import errno
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
from typing import BinaryIO, NoReturn

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # ships no types

from shared.errors import Unanalysable
from shared.seekable_file import SeekableFile
from worker.file_problems import identify
from worker.sandbox.limits import (
    ChildLimits,
    apply_limits,
    die_with_parent,
    keep_freed_memory,
    lower_priority,
    raise_oom_score,
)

FRAME = struct.Struct("!cQQ")
"""Message of a child: its kind, then offset and size for READ, otherwise the payload's size and 0."""
LENGTH = struct.Struct("!I")
"""Header of the parent's response to READ: how many bytes follow."""
READ, ANSWER, PROBLEM, NO_MEMORY, DECODER_ERROR, BUG = b"R", b"A", b"P", b"M", b"D", b"B"

BUFFER_BYTES = 256 * 1024
MAX_READ_BYTES = 1 << 20
MAX_TRACEBACK_CHARS = 8_000
SETUP_FAILED = 75
"""Exit status of a child that the machine did not let start: EX_TEMPFAIL of sysexits.h."""
_SOCKET = 3
_SIGNALS_LEFT_TO_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

Task = Callable[[BinaryIO], bytes]


def blas_threads() -> ThreadpoolController:
    """Return the BLAS libraries of this process. Takes 30 ms, again only after further imports."""
    return _blas_threads(len(sys.modules))


@lru_cache(maxsize=1)
def _blas_threads(_loaded_modules: int) -> ThreadpoolController:
    return ThreadpoolController()


def child_main(
    task: Task, *, connection: socket.socket, size: int, parent_pid: int, limits: ChildLimits
) -> NoReturn:
    """Run *task* over the parent's audio of *size* bytes, send its outcome, and exit in any case."""
    status = SETUP_FAILED
    try:
        _detach_from_parent(connection, parent_pid)
        apply_limits(limits)
        status = 0
        kind, payload = _run(task, size)
        _write(FRAME.pack(kind, len(payload), 0))
        _write(payload)
    finally:
        os._exit(status)


def _detach_from_parent(connection: socket.socket, parent_pid: int) -> None:
    gc.freeze()  # otherwise a collection could close descriptors that the parent's garbage owns
    faulthandler.disable()  # it writes to a descriptor number that is about to be reused
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for (
        number
    ) in _SIGNALS_LEFT_TO_PARENT:  # Ctrl-C reaches the whole process group, but only the parent stops a child
        signal.signal(number, signal.SIG_IGN)
    die_with_parent(parent_pid)
    raise_oom_score()
    lower_priority()
    keep_freed_memory()
    # OpenBLAS would start its threads again here, and spins forever if it is not allowed to.
    blas_threads().limit(limits=1, user_api="blas")
    socket_copy = os.dup(connection.fileno())  # not one of the numbers that are replaced below
    devnull = os.open(os.devnull, os.O_RDWR)
    for standard_file in (0, 1, 2):
        os.dup2(devnull, standard_file)
    os.dup2(socket_copy, _SOCKET)
    os.closerange(_SOCKET + 1, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(task: Task, size: int) -> tuple[bytes, bytes]:
    try:
        return ANSWER, task(io.BufferedReader(_ParentAudio(size), BUFFER_BYTES))
    except MemoryError:
        return NO_MEMORY, b""
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return NO_MEMORY, b""
        return BUG, _traceback(error).encode(errors="replace")
    except Unanalysable as error:
        if (identified := identify(error)) is None:
            return BUG, _traceback(error).encode(errors="replace")
        name, numbers = identified
        return PROBLEM, json.dumps({"problem": name, "numbers": numbers}).encode()
    except BaseException as error:  # no exception may reach the inherited frames
        kind = DECODER_ERROR if _is_caused_by_file(error) else BUG
        return kind, _traceback(error).encode(errors="replace")


def _is_caused_by_file(error: BaseException) -> bool:
    """Whether odd bytes can raise *error*. The others mean a wrong call or a wrong installation."""
    ours = (TypeError, AttributeError, NameError, ImportError, AssertionError)
    return isinstance(error, Exception) and not isinstance(error, ours)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]


class _ParentAudio(SeekableFile):
    """The parent's audio, requested one range at a time."""

    def _read_into(self, view: memoryview, offset: int) -> int:
        _write(FRAME.pack(READ, offset, min(len(view), MAX_READ_BYTES)))
        (length,) = LENGTH.unpack(_receive(memoryview(bytearray(LENGTH.size))))
        _receive(view[:length])
        return int(length)


def _receive(view: memoryview) -> memoryview:
    received = 0
    while received < len(view):
        count = os.readv(_SOCKET, [view[received:]])
        if count == 0:  # the parent is gone
            os._exit(1)
        received += count
    return view


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_SOCKET, view) :]
