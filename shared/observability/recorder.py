"""Collects the metrics of one process, and adds them to the shared numbers every few seconds."""

import threading
from collections.abc import Mapping

from shared.clock import store_time
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.metrics import MetricsStore

_log = get_logger(__name__)


class MetricsBuffer:
    """Numbers that are not in the store yet. Threads can share it; a forked child has its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fields: dict[str, float] = {}

    def add(self, fields: Mapping[str, float]) -> None:
        """Add to the numbers."""
        with self._lock:
            for field, amount in fields.items():
                self._fields[field] = self._fields.get(field, 0) + amount

    def pending(self) -> dict[str, float]:
        """All numbers that are not in the store yet."""
        with self._lock:
            return dict(self._fields)

    def drain(self) -> dict[str, float]:
        """Take all numbers out. Give them back with `add` if they could not be stored."""
        with self._lock:
            drained, self._fields = self._fields, {}
        return drained


class MetricsRecorder:
    """One for each process. A killed process loses what it has not flushed."""

    def __init__(self, store: MetricsStore, *, buffer: MetricsBuffer, process: str) -> None:
        self.process = process
        self.buffer = buffer
        self._store = store
        self._failed = False

    def add(self, fields: Mapping[str, float]) -> None:
        """Add to the numbers, without I/O."""
        self.buffer.add(fields)

    def flush(self) -> None:
        """Add the numbers to the store, if it is available. Never raises Unavailable."""
        drained = self.buffer.drain()
        try:
            self._store.add(drained, process=self.process, now=store_time())
            self._failed = False
        except Unavailable as error:
            self.buffer.add(drained)
            if not self._failed:
                self._failed = True
                _log.warning("metrics_flush_failed", reason=error.message, cause=error.cause)
