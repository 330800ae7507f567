"""An instance of `local` in a process of its own, and what is left of it afterwards."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from local.lifeline import GUARD_SECONDS

MARK = "KAMMERTON_TEST_MARK"
SAYS_SECONDS = 30


class LocalInstance:
    """Everything that it starts inherits a mark in its environment, by which it is found."""

    def __init__(self, data_dir: Path, *, port: int, env: Mapping[str, str], verbose: bool) -> None:
        self._mark = uuid.uuid4().hex
        self._log = Path(tempfile.gettempdir()) / f"kammerton-{self._mark}.log"
        with self._log.open("w") as log:
            self.popen = subprocess.Popen(
                [
                    *[sys.executable, "-m", "tests.support.fake_commands"],
                    *["--port", str(port), "--data-dir", str(data_dir)],
                    *(["--verbose"] if verbose else []),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, MARK: self._mark, **env},
                text=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def forget(self) -> None:
        self._log.unlink()

    def ready(self) -> str:
        assert self.popen.stdout
        line = self.popen.stdout.readline()
        assert line.startswith("ready http://127.0.0.1:"), self.log
        return line.split()[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The issue names 15 s for a stop in order."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout=15)

    def living(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def gone(self, some: Sequence[psutil.Process] | None = None) -> bool:
        """Nothing of it (or none of some) lives, as soon as the kernel and the guard are through."""
        deadline = time.monotonic() + GUARD_SECONDS + 3
        while left := [process for process in self.living() if some is None or process in some]:
            if time.monotonic() > deadline:
                return not left
            time.sleep(0.02)
        return True

    def says(self, words: str, *, after: str = "") -> str:
        """The first such line behind `after`."""
        deadline = time.monotonic() + SAYS_SECONDS
        while time.monotonic() < deadline:
            for line in self.log.partition(after)[2].splitlines() if after else self.log.splitlines():
                if words in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"it never said {words!r}:\n{self.log}")


@contextmanager
def local_instance(
    data_dir: Path, *, port: int = 0, env: Mapping[str, str] | None = None, verbose: bool = True
) -> Iterator[LocalInstance]:
    instance = LocalInstance(data_dir, port=port, env=env or {}, verbose=verbose)
    try:
        yield instance
    finally:
        instance.popen.kill()
        instance.popen.wait()
        assert instance.popen.stdout
        instance.popen.stdout.close()
        assert instance.gone()
        instance.forget()
