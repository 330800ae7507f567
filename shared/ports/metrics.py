"""Metrics and history. Every method may raise Unavailable."""

from collections.abc import Mapping
from typing import Protocol

from shared.domain.history import Bucket, TimeRange


class MetricsStore(Protocol):
    """Numbers that all processes add to. shared/observability/metrics.py makes the fields."""

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        """Add to the numbers, and record that a kind of process is alive."""

    def read(self) -> dict[str, float]:
        """Every number."""

    def last_seen(self) -> dict[str, float]:
        """When each kind of process was last alive, UNIX seconds."""


class History(Protocol):
    """What became of all jobs, over time."""

    def read(self, time_range: TimeRange, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a time range, oldest first; the last one is still filling."""
