"""The clock for every time that is compared: that of the store, which all processes share.

Leases, due times and expiry are written by one machine and compared by another. Their local clocks may differ
by minutes, or step; the store has only one. Local time is for logs and traces only.
"""

import time
from collections.abc import Callable

MAX_CLOCK_SKEW_SECONDS = 2.0
"""A larger difference of a local clock is logged, and shown to operators."""

_source: Callable[[], float] = time.time


def store_time() -> float:
    """UNIX seconds by the store's clock; by the local clock in a process without a store."""
    return _source()


def clock_skew_seconds() -> float:
    """How far the local clock is ahead of the store's."""
    return time.time() - _source()


def use_clock(source: Callable[[], float]) -> None:
    """Take the time from *source* in this process. The code that connects the services calls it."""
    global _source
    _source = source
