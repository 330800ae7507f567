"""The logs of all processes: one file each in the data folder, and on the terminal with --verbose."""

import logging
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

from local.processes import log_to_stderr

MAX_BYTES = 10 * 1024 * 1024
"""Size at which a file becomes NAME.log.1, which replaces the one before."""


class LogFiles:
    """Called with the name of a process and a line of its log, from any thread."""

    def __init__(self, folder: Path, *, verbose: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._verbose = verbose
        self._files: dict[str, _LogFile] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        """Write one line. Ignores errors of the file, such as a full disk: no process waits for its log."""
        with self._lock:
            if name not in self._files:
                self._files[name] = _LogFile(
                    self.folder / f"{name}.log",
                    maxBytes=MAX_BYTES,
                    backupCount=1,
                    delay=True,
                    errors="replace",
                )
            file = self._files[name]
        file.handle(logging.makeLogRecord({"msg": line}))
        if self._verbose or name == "local":
            log_to_stderr(name, line)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()


class _LogFile(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Ignore it: the default prints a traceback for every line."""
