"""What our processes write to the log, for tests to read."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import structlog

from shared.observability.logs import configure_logs


class CapturedLogs:
    """The lines since `configure_logs`."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]


@contextmanager
def capture_logs(**options: Any) -> Iterator[CapturedLogs]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    access = logging.getLogger("uvicorn.access")
    propagate = access.propagate
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure_logs(**{"log_format": "json", "log_level": "INFO"} | options)
    try:
        yield CapturedLogs(stream)
    finally:
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = handlers
        root.setLevel(level)
        access.propagate = propagate
