"""Starts the fork server, which gets none of this process's memory and secrets, and asks it for children."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from worker.sandbox.fork_server import FORK_FAILED, KILL
from worker.sandbox.limits import ChildLimits
from worker.sandbox.process import ChildProcess, ExitReport, Launch

_log = get_logger(__name__)

_ROOT = Path(__file__).parents[2]
# Everything else in the environment may be a secret.
_INHERITED_VARIABLES = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")
_INHERITED_PREFIXES = ("MALLOC_", "MKL_", "OMP_", "OPENBLAS_")
_START_TIMEOUT_SECONDS = 120.0
_REPORT_TIMEOUT_SECONDS = 30.0
_TICK_SECONDS = 0.25


class ForkServerClient:
    """One fork server. Forks of this process share it; one that finds it dead starts its own."""

    def __init__(self, module: str) -> None:
        """Prepare to start `python -m module REQUESTS LIFELINE READY PARENT_PID`."""
        self._module = module
        self._requests: socket.socket | None = None
        self._alive = self._lifeline = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0
        self._is_ready = False

    @property
    def pid(self) -> int | None:
        """Process id of the server, None before the first start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and wait until it is ready. Raises Unavailable if it does not start."""
        self._start(on_tick=lambda: None)

    def _start(self, *, on_tick: Callable[[], None]) -> socket.socket:
        self.close()
        with ExitStack() as opened:
            ours, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            opened.callback(ours.close)
            with requests:
                lifeline, kept_lifeline = _pipe(opened)
                alive, ready = _pipe(opened)
                passed = (requests.fileno(), lifeline, ready)
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._module, *map(str, passed), str(os.getpid())],
                    pass_fds=passed,
                    stdin=subprocess.DEVNULL,
                    cwd=_ROOT,
                    env=_environment(),
                )
            opened.pop_all()
        os.close(lifeline)
        os.close(ready)
        self._owner_pid = os.getpid()
        self._requests, self._lifeline, self._alive = ours, kept_lifeline, alive
        self._is_ready = False
        self._wait_until_ready(on_tick)
        return ours

    def _wait_until_ready(self, on_tick: Callable[[], None]) -> None:
        """Wait for the server's first byte. What *on_tick* raises ends the wait, but not the start."""
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not (spoken := self._has_spoken(_TICK_SECONDS)) and time.monotonic() < deadline:
            on_tick()
        if not spoken or not os.read(self._alive, 1):
            if self._process is not None:
                self._process.kill()
            self.close()
            raise Unavailable("The fork server did not start.")
        self._is_ready = True

    def _has_spoken(self, timeout_seconds: float) -> bool:
        """Whether the server became ready or ended within the time. Any number of a descriptor will do."""
        poll = select.poll()
        poll.register(self._alive, select.POLLIN)
        return bool(poll.poll(1000 * timeout_seconds))

    def close(self) -> None:
        """Let go of the server, which ends when all forks of this process have done so."""
        if self._requests is None:
            return
        self._requests.close()
        os.close(self._lifeline)
        os.close(self._alive)
        self._requests = None
        if self._process is not None and self._owner_pid == os.getpid():
            self._process.wait()

    def launcher(self, task: Mapping[str, Any]) -> Launch:
        """Return a `Launch` that has the server run *task*, a JSON object."""

        def launch(
            connection: socket.socket, size: int, limits: ChildLimits, on_tick: Callable[[], None]
        ) -> ChildProcess:
            request = {"task": dict(task), "size": size, "limits": asdict(limits)}
            return self._launch(request, connection, on_tick)

        return launch

    def _launch(
        self, request: dict[str, Any], connection: socket.socket, on_tick: Callable[[], None]
    ) -> "ServedProcess":
        requests = self._requests
        if requests is not None and not self._is_ready:
            self._wait_until_ready(on_tick)
        elif requests is None or self._has_spoken(0):
            _log.warning("fork_server_restarted")
            requests = self._start(on_tick=on_tick)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                data = json.dumps(request).encode()
                socket.send_fds(requests, [data], [theirs.fileno(), connection.fileno()])
            except OSError as error:
                ours.close()
                raise Unavailable("The fork server does not answer.") from error
        return ServedProcess(ours, is_server_alive=lambda: not self._has_spoken(0))


class ServedProcess:
    """A child of the fork server."""

    def __init__(self, reports: socket.socket, *, is_server_alive: Callable[[], bool]) -> None:
        self._reports = reports
        self._is_server_alive = is_server_alive

    def reap(self, *, timeout_seconds: float) -> ExitReport:
        """Wait for the child's exit report and have the child killed after the timeout."""
        with self._reports as reports:
            if not select.select([reports], [], [], timeout_seconds)[0]:
                reports.send(KILL)
            reports.settimeout(_REPORT_TIMEOUT_SECONDS)
            try:
                data = reports.recv(4096)
            except OSError:
                data = b""
        if data == FORK_FAILED or (not data and self._is_server_alive()):
            raise Unavailable("The fork server could not start another process.")
        if not data:  # the server was killed, and its children with it
            return ExitReport(status=signal.SIGKILL, peak_bytes=0, cpu_seconds=0.0)
        return ExitReport.from_json(data)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED_VARIABLES or name.startswith(_INHERITED_PREFIXES)
    }


def _pipe(opened: ExitStack) -> tuple[int, int]:
    """Open a pipe that *opened* closes. Returns the ends for reading and for writing."""
    reading, writing = os.pipe()
    opened.callback(os.close, reading)
    opened.callback(os.close, writing)
    return reading, writing
