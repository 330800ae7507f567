"""Everything we need from outside for jobs, on one page. Adapters and fakes are named after the technology.

Every method may raise Unavailable; callers do not retry at once but hand the work back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.domain.job import Job
from shared.domain.job_state import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list, newest first. Fields that are None do not narrow."""

    owner: str | None = None
    states: frozenset[JobState] = frozenset()
    """Empty: every state."""
    created_after: float | None = None
    created_before: float | None = None
    name_contains: str | None = None
    """Matched without regard to case."""
    reason: str | None = None
    """The code of the problem."""
    worker: str | None = None
    """Who had the job last."""
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some jobs without their reports, and where the next page begins."""

    jobs: tuple[Job, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWork:
    """Ids of jobs that the rescuer should look at."""

    lease_expired: tuple[str, ...] = ()
    queued_due: tuple[str, ...] = ()
    audio_to_delete: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """One queue as it stands."""

    queue: str
    waiting: int
    oldest_queued_at: float | None
    """UNIX seconds; None where nothing waits."""


class JobStore(Protocol):
    """The one record of every job."""

    def add(self, job: Job) -> None:
        """Record a new job. Raises Conflict if its id is taken."""

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Apply a pure step atomically, again if somebody was faster. Raises NotFound, and what it raises."""

    def remove(self, job_id: str) -> None:
        """Forget the job, whether it is there or not."""

    def page(self, query: JobQuery) -> JobPage:
        """A page of jobs."""

    def due_work(self, *, now: float, limit: int) -> DueWork:
        """What is overdue at `now`, at most `limit` of each kind, and of queued jobs from each queue."""

    def queue_position(self, job: Job) -> int | None:
        """How many jobs of its queue stand before a queued job; None if it is not queued."""

    def backlog(self, queue: str) -> Backlog:
        """How much waits in a queue, and since when."""

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """One change of a job's state, a request to cancel it, or its removal."""

    cursor: str
    """Where it stands in the stream."""
    job_id: str
    state: str
    """The new state, or `removed`."""


class JobUpdateLog(Protocol):
    """The stream of all jobs' changes, for those who wait for one. Who sleeps too long misses some."""

    def latest_cursor(self) -> str:
        """The cursor of what was written last."""

    def read_after(self, cursor: str, *, wait_seconds: float) -> tuple[JobUpdate, ...]:
        """What was written after a cursor; waits so long for the first of it."""


class JobQueue(Protocol):
    """Doorbells for workers. A lost or repeated one harms nobody: the record decides."""

    def enqueue(self, job_id: str, *, queue: str) -> None:
        """Tell the workers of a queue that a job waits."""

    def enqueued_ids(self, queue: str) -> frozenset[str]:
        """Ids of the jobs whose messages wait in the broker."""
