"""The store of jobs, the stream of their updates, and the queue to the workers.

Every method may raise Unavailable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.job import Job
from shared.domain.job_state import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list. A field that is None does not filter."""

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
    """The last worker of the job."""
    queue: str | None = None
    batch_id: str | None = None
    verdict: str | None = None
    """The verdict of the report."""
    min_run_seconds: float | None = None
    """The shortest run time, from the last start to the end."""
    oldest_first: bool = False
    """Whether the list begins with the oldest job, instead of the newest."""
    cursor: str | None = None
    before: bool = False
    """List the page before the cursor, instead of the one after it. Needs a cursor."""
    limit: int = 50

    def matches(self, job: Job) -> bool:
        """Whether a job passes every filter. The cursor and the limit are not looked at."""
        name = (job.input.filename or "").casefold()
        return (
            (self.owner is None or job.owner == self.owner)
            and (not self.states or job.state in self.states)
            and (self.reason is None or (job.problem is not None and job.problem.code == self.reason))
            and (self.worker is None or (bool(job.timeline) and job.timeline[-1].worker == self.worker))
            and (self.queue is None or job.queue == self.queue)
            and (self.batch_id is None or job.batch_id == self.batch_id)
            and (self.verdict is None or (job.report and job.report.tuning.verdict) == self.verdict)
            and (self.min_run_seconds is None or (job.run_seconds or 0.0) >= self.min_run_seconds)
            and (self.created_after is None or job.created_at >= self.created_after)
            and (self.created_before is None or job.created_at <= self.created_before)
            and (self.name_contains is None or self.name_contains.casefold() in name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """A page of jobs without their reports."""

    jobs: tuple[Job, ...]
    cursor: str | None
    """Where the next page begins; None: this is the last one."""
    previous_cursor: str | None = None
    """Where the page before this one ends; None: this is the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWork:
    """Ids of jobs that maintenance must look at."""

    lease_expired: tuple[str, ...] = ()
    queued_due: tuple[str, ...] = ()
    audio_to_delete: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """Their records are gone, but their audio may still be in storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The waiting jobs of one queue."""

    queue: str
    waiting: int
    oldest_queued_at: float | None
    """UNIX seconds; None if no job waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMemory:
    """Memory of the store."""

    used_bytes: int
    limit_bytes: int | None
    """None: no limit is set."""

    @property
    def share(self) -> float:
        """How full it is, from 0 to 1; 0 without a limit."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0


class JobStore(Protocol):
    """The record of every job."""

    def add(self, job: Job) -> None:
        """Record a new job. Raises Conflict if its id is taken."""

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Apply a pure step atomically, again if another writer was faster.

        Raises NotFound, and what the step raises.
        """

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job | None]:
        """The existing jobs without their reports; None for a record that can't be read."""

    def remove(self, job_id: str) -> None:
        """Delete the job if it exists. `due_work` lists its audio until `confirm_audio_deleted`."""

    def remove_if(self, job_id: str, condition: Callable[[Job], bool]) -> Job | None:
        """Delete the job as it is when it passes the condition; return what was deleted."""

    def confirm_audio_deleted(self, job_id: str) -> None:
        """The audio of a removed job is no longer in storage."""

    def page(self, query: JobQuery) -> JobPage:
        """A page of jobs. Raises BadRequest for an invalid cursor."""

    def due_work(self, *, now: float, limit: int) -> DueWork:
        """The work that is due by *now*: at most *limit* of each kind, and of queued jobs from each queue."""

    def queue_position(self, job: Job) -> int | None:
        """How many jobs are before a queued job in its queue; None if it is not queued."""

    def backlog(self, queue: str) -> Backlog:
        """How many jobs wait in a queue, and since when."""

    def memory(self) -> StoreMemory:
        """How much memory the store uses. It may be some seconds old."""

    def check(self) -> None:
        """Raise Unavailable unless the store takes writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """A change of a job's state, a request to cancel it, or its removal."""

    cursor: str
    """Its position in the stream."""
    job_id: str
    state: str
    """The new state, or `removed`."""


class JobUpdateLog(Protocol):
    """The stream of all jobs' updates. It is bounded: a reader that is too slow misses some."""

    def latest_cursor(self) -> str:
        """The cursor of the newest update."""

    def read_after(self, cursor: str, *, wait_seconds: float) -> tuple[JobUpdate, ...]:
        """The updates after a cursor. Waits up to *wait_seconds* for the first one."""


class JobQueue(Protocol):
    """Messages that wake workers. A lost or repeated message is harmless: the record decides."""

    def enqueue(self, job_id: str, *, queue: str) -> None:
        """Send the workers of a queue a message about a job."""

    def enqueued_ids(self, queue: str) -> frozenset[str]:
        """Ids of the jobs with a message in the queue."""
