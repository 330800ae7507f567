"""Real servers for tests: start, stop, kill, and start again on the same port with the same data."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from local.lifeline import Lifeline
from local.processes import Command, Process
from local.s3 import REGION, S3
from local.valkey import Valkey

START_SECONDS = 60


class Server:
    """One server process. From the main thread only: it dies with the thread that started it."""

    def __init__(self, command: Command, *, answers: Callable[[], bool], lifeline: Lifeline) -> None:
        self.lines: list[str] = []
        self._answers = answers
        self._process = Process(command, lifeline=lifeline, env={}, log=self._keep)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._process.running or time.monotonic() > deadline:
                last = "\n".join(self.lines[-20:])
                self.kill()
                raise RuntimeError(f"{self._process.name} does not answer. Its last lines:\n{last}")
            time.sleep(0.02)

    def stop(self, *, patience_seconds: float = 10) -> None:
        self._process.request_stop()
        self._process.wait_until(time.monotonic() + patience_seconds)
        self._process.kill()

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _keep(self, name: str, line: str) -> None:
        self.lines.append(line)


@dataclass(frozen=True)
class ValkeyServer:
    """Clean up after yourself by key prefixes."""

    url: str
    server: Server


@dataclass(frozen=True)
class S3Server:
    """Clean up after yourself by bucket names."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    server: Server


@contextmanager
def running_valkey(data_dir: Path | None = None, *options: str) -> Iterator[ValkeyServer]:
    with _lifeline() as lifeline, _folder(data_dir) as folder:
        valkey = Valkey(folder)
        try:
            command = replace(valkey.command, argv=[*valkey.command.argv, *options])
            with _running(Server(command, answers=valkey.is_ready, lifeline=lifeline)) as server:
                yield ValkeyServer(valkey.url, server)
        finally:
            valkey.close()


@contextmanager
def running_s3(data_dir: Path | None = None) -> Iterator[S3Server]:
    with _lifeline() as lifeline, _folder(data_dir) as folder:
        s3 = S3(folder, bucket="ready")
        for socket in s3.sockets():
            lifeline.remove_at_exit(socket)
        try:
            with _running(Server(s3.command, answers=s3.is_ready, lifeline=lifeline)) as server:
                yield S3Server(s3.endpoint_url, s3.access_key, s3.secret_key, REGION, server)
        finally:
            s3.close()


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _lifeline() -> Iterator[Lifeline]:
    lifeline = Lifeline()
    try:
        yield lifeline
    finally:
        lifeline.close()


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="kammerton-") as made:
        yield Path(made)
