"""What the dashboard needs: job search, the audit log, and secrets. Every method may raise Unavailable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobQuery


class JobSearch(Protocol):
    """Counts and finds jobs, in time that does not grow with their number."""

    def count_by_state(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""

    def count(self, query: JobQuery) -> int | None:
        """How many jobs match; None if no index can tell."""

    def search(self, text: str, *, limit: int) -> tuple[Job, ...]:
        """Jobs, newest first, by id, by SHA-256, or by the beginning of a word of the filename."""

    def scheduled(self, *, now: float, limit: int) -> tuple[Job, ...]:
        """Queued jobs that start later, the soonest first: retries and postponed jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One action of one person or program."""

    at: float
    who: str
    """Role and name, or the id of an API key."""
    address: str
    act: str
    what: str
    """A job, a queue, a worker, or the filter that selected the jobs."""
    count: int
    """How many jobs were changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries to list, newest first. A field that is None does not filter."""

    text: str | None = None
    """A part of the actor, the target or the address, without regard to case."""
    act: str | None = None
    cursor: str | None = None
    limit: int = 50

    def matches(self, entry: AuditEntry) -> bool:
        """Whether an entry passes every filter. The cursor and the limit are not looked at."""
        text = f"{entry.who} {entry.what} {entry.address}".casefold()
        return (self.act is None or entry.act == self.act) and (
            self.text is None or self.text.casefold() in text
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A page of the audit log."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None
    """Where the next page begins; None: this is the last one."""


class AuditLog(Protocol):
    """Who did what, and when. Append-only; the oldest entries are dropped at the end."""

    def add(self, entry: AuditEntry) -> None:
        """Append an entry."""

    def page(self, query: AuditQuery) -> AuditPage:
        """A page of entries, newest first. Raises BadRequest for an invalid cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOperation:
    """An action on many jobs that runs in the background, and how far it is."""

    id: str
    action: str
    selection: str
    """The filter that selected the jobs, for people."""
    actor: str
    started_at: float
    updated_at: float
    total: int
    done: int = 0
    refused: int = 0
    """How many jobs did not change."""
    reason: str | None = None
    """Why the last of them did not."""
    finished_at: float | None = None


class DashboardStore(Protocol):
    """What the dashboard itself remembers."""

    def save_operation(self, operation: BulkOperation, *, ttl_seconds: int) -> None:
        """Record the progress of an operation."""

    def find_operation(self, operation_id: str) -> BulkOperation | None:
        """The operation as it was saved last; None if there is none."""

    def acknowledge(self, warning: str, count: int) -> None:
        """Hide a warning until its count is above this one."""

    def acknowledged(self) -> Mapping[str, int]:
        """The acknowledged count of each warning."""


class SecretStore(Protocol):
    """Small secrets that all API processes share, and counts of failed attempts."""

    def get_or_create(self, name: str, value: str) -> str:
        """The secret of this name; *value* if there was none. The first of several callers wins."""

    def count_attempt(self, name: str, *, window_seconds: float) -> int:
        """Count an attempt; return how many this window has."""
