"""What operators need from outside, beside the ports of the main job: the big picture and the levers.

Every method may raise Unavailable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobQuery


class JobSearch(Protocol):
    """All jobs at a glance. No answer takes longer because there are more of them."""

    def count_by_state(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""

    def count(self, query: JobQuery) -> int | None:
        """How many jobs match; None where only looking at each of them could tell."""

    def search(self, text: str, *, limit: int) -> tuple[Job, ...]:
        """Jobs, new to old, by id, by SHA-256, or by the beginning of a word of the filename."""


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


class SecretStore(Protocol):
    """Small secrets that all API processes share, and counts of who tries to guess them."""

    def get_or_create(self, name: str, value: str) -> str:
        """The value under a name: this one if there was none. The first of several callers wins."""

    def count_attempt(self, name: str, *, window_seconds: float) -> int:
        """Count an attempt; how many there were since the first one of this window."""

    def reset_attempts(self, name: str) -> None:
        """Forget the attempts."""
