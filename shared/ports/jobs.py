"""Everything we need from outside for jobs, on one page. Adapters and fakes are named after the technology.

Every method may raise Unavailable; callers do not retry at once but hand the work back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from shared.job import Job
from shared.timeline import JobState


class AudioUpload(Protocol):
    """One object being written in parts. Nothing is visible under its key before `finish`."""

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        """Send one part, from any thread, in any order. All but the last hold `AudioStore.part_bytes`."""

    def finish(self) -> None:
        """Make the object visible: the parts in the order of their numbers, from 1."""

    def abort(self) -> None:
        """Leave nothing behind. May be called twice, and after a failed `finish`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAudio:
    """One object, or one unfinished upload, in storage."""

    key: str
    at: float
    """UNIX seconds of its last change."""
    upload: str | None = None
    """The store's name for an unfinished upload; None: a whole object."""


class AudioStore(Protocol):
    """Where audio lies until its job is done. Keys are job ids."""

    part_bytes: int

    def put(self, key: str, data: bytes | bytearray, *, media_type: str) -> None:
        """Write a small object at once."""

    def begin(self, key: str, *, media_type: str) -> AudioUpload:
        """Start writing an object in parts. Touches storage at the first `write` at the earliest."""

    def open(self, key: str) -> BinaryIO:
        """A seekable file over ranged reads. Raises AudioMissing."""

    def delete(self, key: str) -> None:
        """Remove the object, whether it is there or not."""

    def leftovers(self, *, before: float) -> Iterable[StoredAudio]:
        """Objects and unfinished uploads last changed before a time, for the rescuer to judge."""

    def discard(self, stored: StoredAudio) -> None:
        """Remove one of the `leftovers`."""

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""


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
class Chores:
    """Ids of jobs that the rescuer should look at."""

    lease_expired: tuple[str, ...] = ()
    queued_due: tuple[str, ...] = ()
    audio_unwanted: tuple[str, ...] = ()
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

    def chores(self, *, now: float, limit: int) -> Chores:
        """What is overdue at `now`, at most `limit` of each kind, and of queued jobs from each queue."""

    def position(self, job: Job) -> int | None:
        """How many jobs of its queue stand before a queued job; None if it is not queued."""

    def backlog(self, queue: str) -> Backlog:
        """How much waits in a queue, and since when."""

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a job's state, a request to cancel it, or its removal."""

    cursor: str
    """Where it stands in the stream."""
    job_id: str
    state: str
    """The new state, or `removed`."""


class Transitions(Protocol):
    """The stream of all jobs' changes, for those who wait for one. Who sleeps too long misses some."""

    def newest(self) -> str:
        """The cursor of what was written last."""

    def after(self, cursor: str, *, wait_seconds: float) -> tuple[Transition, ...]:
        """What was written after a cursor; waits so long for the first of it."""


class JobQueue(Protocol):
    """Doorbells for workers. A lost or repeated one harms nobody: the record decides."""

    def submit(self, job_id: str, *, queue: str) -> None:
        """Tell the workers of a queue that a job waits."""

    def announced(self, queue: str) -> frozenset[str]:
        """Ids of the jobs whose messages wait in the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker says about itself every few seconds."""

    name: str
    host: str
    pid: int
    started_at: float
    seen_at: float
    queues: tuple[str, ...] = ()
    concurrency: int = 1
    jobs_done: int = 0
    progress_at: float = 0.0
    """UNIX seconds: when it last started or ended a job, or began."""
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    current_jobs: tuple[str, ...] = field(default=())
    draining: bool = False
    """Told to take nothing new."""


class WorkerRegistry(Protocol):
    """Who is at work."""

    def beat(self, worker: WorkerInfo) -> None:
        """Say that a worker is alive; forgotten some seconds after the last call."""

    def leave(self, name: str) -> None:
        """Say that a worker stops."""

    def alive(self) -> tuple[WorkerInfo, ...]:
        """Workers that were heard of lately."""
