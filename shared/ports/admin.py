"""What operators need from outside, beside the ports of the main job: the big picture and the levers.

Every method may raise Unavailable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.job import Job
from shared.ports import JobQuery
from shared.statistics import Bucket, Span
from shared.timeline import JobState


class Overview(Protocol):
    """All jobs at a glance. No answer takes longer because there are more of them."""

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""

    def count(self, query: JobQuery) -> int | None:
        """How many jobs match; None where only looking at each of them could tell."""

    def find(self, text: str, *, limit: int) -> tuple[Job, ...]:
        """Jobs, new to old, by id, by SHA-256, or by the beginning of a word of the filename."""


class History(Protocol):
    """What became of all jobs, over time."""

    def read(self, span: Span, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a span, old to new; the last one is not over yet."""


class Order(StrEnum):
    """What a worker is told to do."""

    DRAIN = "drain"
    """Finish what it has and take nothing new, until the order is taken back."""
    RESTART = "restart"
    """Finish what it has and end; whoever supervises it starts it again."""


class Controls(Protocol):
    """Levers that workers and rescuers heed. They stand in the store: a restart changes nothing."""

    def pause(self, queue: str) -> None:
        """Let no job of a queue be started."""

    def resume(self, queue: str) -> None:
        """Let them be started again."""

    def paused(self) -> frozenset[str]:
        """The queues that are paused."""

    def give(self, worker: str, order: Order) -> None:
        """Tell a worker what to do."""

    def take_back(self, worker: str) -> None:
        """Forget what a worker was told."""

    def orders(self) -> Mapping[str, Order]:
        """What each worker was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act of one person or program."""

    at: float
    who: str
    """Role and name, or the id of an API key."""
    address: str
    act: str
    what: str
    """A job, a queue, a worker, or the filter that chose the jobs."""
    count: int
    """How many were changed."""


class AuditLog(Protocol):
    """Who did what, and when. Only ever added to; the oldest entries fall out at last."""

    def add(self, entry: AuditEntry) -> None:
        """Write one act down."""

    def latest(self, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries, new to old."""


class Vault(Protocol):
    """Small secrets that all API processes share, and counts of who tries to guess them."""

    def keep(self, name: str, value: str) -> str:
        """The value under a name: this one if there was none. The first of several callers wins."""

    def attempt(self, name: str, *, window_seconds: float) -> int:
        """Count an attempt; how many there were since the first one of this window."""

    def forgive(self, name: str) -> None:
        """Forget the attempts."""
