"""What we need from outside to say who may do what, how much of it, and to count it.

Every method may raise Unavailable.
"""

from collections.abc import Mapping
from typing import Protocol

from shared.domain.history import Bucket, TimeRange


class MetricsStore(Protocol):
    """The numbers that everybody adds to, for /metrics. Fields are made by shared.counts."""

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        """Add to the numbers, and say that a kind of process is alive."""

    def read(self) -> dict[str, float]:
        """Every number."""

    def last_seen(self) -> dict[str, float]:
        """When each kind of process was last heard of, UNIX seconds."""


class History(Protocol):
    """What became of all jobs, over time."""

    def read(self, span: TimeRange, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a span, old to new; the last one is not over yet."""
