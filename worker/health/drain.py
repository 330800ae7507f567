"""Shutdown of a worker: running jobs get a grace period to finish, then they are released.

The flag is in memory that the parent shares with the children that it forks.
"""

import mmap
import struct
import time
from typing import Any

from celery.signals import worker_shutting_down

_DOUBLE = struct.Struct("d")


class Drain:
    """Whether the worker is shutting down and the grace period is over. Create it before the fork."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._shared = mmap.mmap(-1, _DOUBLE.size)

    def on_shutdown(self) -> None:
        """Begin when Celery announces that this worker shuts down."""
        worker_shutting_down.connect(self._begin, weak=False)

    def begin(self) -> None:
        """Start the grace period."""
        _DOUBLE.pack_into(self._shared, 0, time.monotonic() + self._grace_seconds)

    @property
    def is_over(self) -> bool:
        """Whether running jobs must be released now."""
        (deadline,) = _DOUBLE.unpack_from(self._shared)
        return 0.0 < float(deadline) <= time.monotonic()

    def _begin(self, **_: Any) -> None:
        self.begin()
