"""Told to stop: the running jobs get a moment to finish, then they are handed back.

The flag lies in memory that the parent shares with the children that it forks.
"""

import mmap
import struct
import time
from typing import Any

from celery.signals import worker_shutting_down

_DOUBLE = struct.Struct("d")


class Drain:
    """Whether the worker is stopping, and the grace is over. Make it before the fork."""

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._shared = mmap.mmap(-1, _DOUBLE.size)

    def on_shutdown(self) -> None:
        """Begin when Celery says that this worker shuts down."""
        worker_shutting_down.connect(self._begin, weak=False)

    def begin(self) -> None:
        """The worker was told to stop."""
        _DOUBLE.pack_into(self._shared, 0, time.monotonic() + self._grace_seconds)

    @property
    def is_over(self) -> bool:
        """Whether running jobs are to be handed back now."""
        (at,) = _DOUBLE.unpack_from(self._shared)
        return 0.0 < float(at) <= time.monotonic()

    def _begin(self, **_: Any) -> None:
        self.begin()
