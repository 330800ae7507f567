"""`python -m local.fork_server.server`: loads what our commands have in common once, and runs each in a fork.

The forks share its memory until they write to it. Like `multiprocessing.forkserver`, but a fork becomes a
command: it has its own process group, environment, log, and name in `ps`. It has one thread.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from local.lifeline import die_with_parent

_DESCRIPTORS = 3
_MESSAGE_BYTES = 16


@dataclass(frozen=True)
class Request:
    """A command to run: `python -m` with *arguments*."""

    arguments: Sequence[str]
    env: Mapping[str, str]


class ForkServer:
    """Forks a child for each request: a datagram with three descriptors.

    The first is a file of JSON, the request, which only the child reads, because it may hold secrets of one
    command. The others are the log and a socket for the status.

    The server writes the child's process id to the status socket and, when the child ends, its exit code. The
    child stays a zombie until the client closes the socket, so that nobody else can get its number.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: dict[int, tuple[int, socket.socket]] = {}
        self._reported: set[int] = set()
        self._poll = select.poll()

    def serve(self) -> Request:
        """Serve until the process is killed. Returns in a child, with what the child is to run."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        wake_up, woken = socket.socketpair()
        wake_up.setblocking(False)
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for descriptor in (self._requests.fileno(), wake_up.fileno()):
            self._poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._requests.fileno():
                    if (request := self._fork()) is not None:
                        return request
                elif descriptor == wake_up.fileno():
                    with suppress(BlockingIOError):
                        wake_up.recv(4096)
                    self._report_ended()
                elif descriptor in self._children:
                    self._reap(descriptor)

    def _fork(self) -> Request | None:
        """Fork. Returns the request in the child, None in the server."""
        _, descriptors, _, _ = socket.recv_fds(self._requests, _MESSAGE_BYTES, _DESCRIPTORS)
        if len(descriptors) != _DESCRIPTORS:
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        written, log, status = *descriptors[:2], socket.socket(fileno=descriptors[2])
        server = os.getpid()
        # Signals that arrive before the child has its own handlers wait, although the server ignores them.
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if pid == 0:
            with open(written, "rb", closefd=False) as file:
                file.seek(0)
                request = Request(**json.load(file))
            _become_command(request, log=log, server=server)
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
            return request
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        with suppress(OSError):  # the child does it too: whoever is first
            os.setpgid(pid, pid)
        os.close(written)
        os.close(log)
        self._children[status.fileno()] = pid, status
        self._poll.register(status.fileno(), select.POLLIN)
        with suppress(OSError):
            status.send(b"%d" % pid)
        return None

    def _report_ended(self) -> None:
        for pid, status in self._children.values():
            if pid in self._reported:
                continue
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                continue
            self._reported.add(pid)
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            with suppress(OSError):
                status.send(b"%d" % code)

    def _reap(self, descriptor: int) -> None:
        """The client has closed the status socket: it has killed the child or let go of it."""
        self._poll.unregister(descriptor)
        pid, status = self._children.pop(descriptor)
        status.close()
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._reported.discard(pid)


def _become_command(request: Request, *, log: int, server: int) -> None:
    """Leave nothing of the server in this process but its modules."""
    os.setpgid(0, 0)
    die_with_parent(server)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request.env)
    for stream in (sys.stdout, sys.stderr):
        cast("IO[str]", stream).reconfigure(line_buffering=True)  # type: ignore[attr-defined]
    sys.argv[:] = ["-m", *request.arguments[1:]]
    _set_command_line([sys.executable, "-m", *request.arguments])
    gc.enable()


def _set_command_line(words: Sequence[str]) -> None:
    """Show *words* in /proc, for `ps`. They overwrite the arguments that this process was started with."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end in proc(5)
    if not 0 < start < end:
        return
    text = " ".join(words).encode()[: end - start - 2] + b"\0"
    # The last byte tells Linux that the arguments have become one text, which ends at the first NUL.
    ctypes.memmove(start, text.ljust(end - start, b"-"), end - start)


def main(arguments: Sequence[str]) -> None:
    """Load the module, whose `preload` function loads the rest, and serve."""
    requests, module = int(arguments[0]), arguments[1]
    gc.disable()
    importlib.import_module(module).preload()
    gc.collect()
    gc.freeze()  # a collection would write to every object, and each process would get its own copy
    request = ForkServer(socket.socket(fileno=requests)).serve()
    runpy.run_module(request.arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
