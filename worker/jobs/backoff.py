"""Slows a worker down while its machine or our storage is in trouble: each job would fail like the last."""

import time
from collections.abc import Callable

_FIRST_SECONDS = 0.5
_MAX_SECONDS = 10.0
_TICK_SECONDS = 0.25


class Backoff:
    """A pause that doubles with every attempt in a row that was released for trouble."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """How long the next pause is."""
        return self._seconds

    def add_trouble(self) -> None:
        """Record that an attempt was released because of the machine or our storage."""
        self._seconds = min(max(_FIRST_SECONDS, 2 * self._seconds), _MAX_SECONDS)

    def reset(self) -> None:
        """Record that an attempt got through."""
        self._seconds = 0.0

    def pause(self, is_stopping: Callable[[], bool]) -> None:
        """Wait as long as the trouble demands, or until the worker stops."""
        remaining = self._seconds
        while remaining > 0 and not is_stopping():
            self._sleep(min(remaining, _TICK_SECONDS))
            remaining -= _TICK_SECONDS
