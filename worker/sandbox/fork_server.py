"""The fork server: a process without secrets that loads the decoders once and forks a child for each request.

Like `multiprocessing.forkserver`, but with exit reports, killing, and a clean environment. It has one thread.
"""

import json
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from worker.sandbox.child import Task
from worker.sandbox.limits import ChildLimits, die_with_parent
from worker.sandbox.process import ForkedProcess

READY = b"R"
"""Sent to the client once, when requests are served."""
KILL = b"K"
"""Sent by the client to kill a child. A closed socket means the same."""
FORK_FAILED = b"F"
"""Sent instead of an exit report."""
MAX_REQUEST_BYTES = 1 << 14


class ForkServer:
    """Serves requests until the client and all its forks have ended."""

    def __init__(
        self, requests: socket.socket, lifeline: int, *, make_task: Callable[[dict[str, Any]], Task]
    ) -> None:
        """Prepare to serve.

        Args:
            requests: a datagram socket. A request is JSON with two sockets: the reports' and the child's.
            lifeline: a pipe that nobody writes to. It ends with the last client.
            make_task: turns the `task` of a request into a task, in the child.
        """
        self._requests = requests
        self._lifeline = lifeline
        self._make_task = make_task
        self._children: dict[int, tuple[ForkedProcess, socket.socket]] = {}
        self._poll = select.poll()

    def serve(self, *, ready: int, parent_pid: int) -> None:
        """Write `READY` to the descriptor *ready* and serve."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # running children may finish
        wake_up, woken = socket.socketpair()
        wake_up.setblocking(False)
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        die_with_parent(parent_pid)
        for descriptor in (self._requests.fileno(), self._lifeline, wake_up.fileno()):
            self._poll.register(descriptor, select.POLLIN)
        os.write(ready, READY)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._lifeline:
                    return
                if descriptor == self._requests.fileno():
                    self._fork()
                elif descriptor == wake_up.fileno():
                    with suppress(BlockingIOError):
                        wake_up.recv(4096)
                    self._report_ended()
                elif descriptor in self._children:
                    self._kill(descriptor)

    def _fork(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._requests, MAX_REQUEST_BYTES, 2)
        received = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if len(received) != 2:  # the kernel drops descriptors that this process may not open
            for reports in received:
                _send_failure(reports)
            return
        reports, connection = received
        with connection:
            request = json.loads(data)

            def task(audio: Any) -> bytes:
                return self._make_task(request["task"])(audio)

            try:
                child = ForkedProcess.start(
                    task, connection, request["size"], ChildLimits(**request["limits"])
                )
            except (OSError, MemoryError):  # the trouble of the machine
                _send_failure(reports)
                return
        self._children[reports.fileno()] = child, reports
        self._poll.register(reports.fileno(), select.POLLIN)

    def _kill(self, descriptor: int) -> None:
        """Kill a child. Its report follows when the kernel tells that it has ended."""
        self._poll.unregister(descriptor)
        self._children[descriptor][0].kill()

    def _report_ended(self) -> None:
        for descriptor, (child, reports) in list(self._children.items()):
            if (report := child.poll()) is None:
                continue
            del self._children[descriptor]
            with suppress(KeyError):
                self._poll.unregister(descriptor)
            with reports, suppress(OSError):
                reports.send(report.to_json())


def _send_failure(reports: socket.socket) -> None:
    with reports, suppress(OSError):
        reports.send(FORK_FAILED)
