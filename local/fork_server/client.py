"""Starts the fork server, and has it run commands."""

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import BinaryIO

from local.lifeline import Lifeline

_MESSAGE_BYTES = 64
_PADDING = "-" * 240
"""The last argument of the server. Makes room for the command line of a fork."""


class ForkServerClient:
    """One fork server, started with the first command and again when it has died. Main thread only."""

    def __init__(self, module: str, *, lifeline: Lifeline, log: Callable[[str, str], None]) -> None:
        """*module* has a function `preload`, which loads what the commands have in common."""
        self._module = module
        self._lifeline = lifeline
        self._log = log
        self._requests: socket.socket | None = None
        self._env: dict[str, str] | None = None

    def spawn(self, command: list[str], *, env: Mapping[str, str]) -> "ForkedCommand":
        """Run `python -m …` in a fork.

        The server has the environment of the first command, also after it has died, and holds no other: every
        fork inherits its memory.
        """
        if self._env is None:
            self._env = dict(env)
        request = json.dumps({"arguments": command[2:], "env": dict(env)}).encode()
        for _ in range(2):
            requests = self._requests or self._start(self._env)
            log, log_end = os.pipe()
            status, status_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with os.fdopen(os.memfd_create("request"), "wb", buffering=0) as file, status_end:
                file.write(request)
                with suppress(OSError):
                    socket.send_fds(requests, [b"fork"], [file.fileno(), log_end, status_end.fileno()])
            os.close(log_end)
            forked = ForkedCommand(os.fdopen(log, "rb"), status)
            if forked.pid:
                self._lifeline.remember(forked.pid)
                return forked
            forked.stdout.close()
            forked.close()
            self.close()
        raise OSError("The fork server does not start.")

    def _start(self, env: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            process = self._lifeline.spawn(
                [
                    *(sys.executable, "-m", "local.fork_server.server"),
                    *(str(theirs.fileno()), self._module, _PADDING),
                ],
                env=dict(env),
                inherit=(theirs.fileno(),),
            )

        def copy_log() -> None:
            with process, process.stdout as lines:  # type: ignore[union-attr] # a pipe
                for line in lines:
                    self._log("local", line.decode(errors="replace").rstrip())

        threading.Thread(target=copy_log, daemon=True).start()
        self._requests = ours
        return ours

    def close(self) -> None:
        """Let go of a dead server."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None


class ForkedCommand:
    """A command in a fork, with the part of `subprocess.Popen` that `Process` needs."""

    def __init__(self, stdout: BinaryIO, status: socket.socket) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status
        self.pid = int(status.recv(_MESSAGE_BYTES) or 0)
        """0 if the server died before it forked."""

    def poll(self) -> int | None:
        """The exit code, None while it runs. A dead server takes its forks with it."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = int(self._status.recv(_MESSAGE_BYTES) or -signal.SIGKILL)
        return self.returncode

    def wait(self) -> int:
        """Wait until it has ended."""
        if self.returncode is None:
            self.returncode = int(self._status.recv(_MESSAGE_BYTES) or -signal.SIGKILL)
        self.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        """Have the server reap it."""
        self._status.close()
