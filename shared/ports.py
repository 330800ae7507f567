"""Everything we need from outside for jobs, on one page. Adapters and fakes are named after the technology.

Every method may raise Unavailable; callers do not retry at once but hand the work back.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from shared.job import Job, JobState


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """One upload on its way in."""

    id: str
    """Of the job that it becomes, which is also its key in storage."""
    started_at: float
    seen_at: float
    received_bytes: int = 0
    declared_bytes: int | None = None
    owner: str | None = None
    filename: str | None = None


class UploadRegistry(Protocol):
    """Which unfinished uploads have somebody at work on them: what storage holds besides is orphaned."""

    def beat(self, uploads: Sequence[UploadInfo]) -> None:
        """Say that uploads are alive; forgotten half a minute after the last call."""

    def leave(self, upload_id: str) -> None:
        """Say that an upload has ended, well or badly. After its job is recorded, never before."""

    def alive(self) -> tuple[UploadInfo, ...]:
        """Uploads that were heard of lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a creating request was answered."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One Idempotency-Key of one caller, and what became of it."""

    head: str
    """Fingerprint of what is known of the request before its body has come."""
    subject: str
    """Id of what the request creates: a second try after a crash creates the same."""
    holder: str
    """The request that is at work on it."""
    until: float
    """When the holder counts as dead."""
    whole: str | None = None
    """Fingerprint of the whole request, once answered."""
    answer: Answer | None = None


class ClaimStore(Protocol):
    """Every Idempotency-Key for a day."""

    def claim(self, key: str, wanted: Claim, *, now: float) -> Claim:
        """The claim that stands: the wanted one, or one that was there before.

        One without an answer, of the same head, whose holder is dead goes over to the wanted holder.
        """

    def renew(self, key: str, *, holder: str, until: float) -> None:
        """The holder lives."""

    def settle(self, key: str, *, holder: str, whole: str, answer: Answer) -> None:
        """The holder has answered."""

    def release(self, key: str, *, holder: str) -> None:
        """The holder has created nothing: forget its claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """One request that anybody may send, as it is, until it expires. Its size is part of the signature."""

    method: str
    url: str
    headers: dict[str, str]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedForm:
    """The same as a form: the fields, then the file as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How a client brings an object into the store by itself."""

    requests: tuple[SignedRequest, ...]
    """One, or one for each part."""
    form: SignedForm | None = None
    """For an object that comes in one piece."""
    multipart: str | None = None
    """The store's name for an object that comes in parts."""


class DirectStore(Protocol):
    """Uploads that never pass through us. Keys are job ids."""

    def offer(self, key: str, *, size_bytes: int, media_type: str, seconds: int) -> Offer:
        """Let the holder of the answer write exactly this object, for so long."""


class PartStore(Protocol):
    """Objects that come in numbered parts over several requests. Keys are job ids."""

    def start(self, key: str, *, media_type: str) -> str:
        """The store's name for a new object in parts."""

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        """Send one part; the same one again does no harm. All but the last hold `AudioStore.part_bytes`."""

    def sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        """Bytes of part 1, 2, and so on, up to the first that is missing. Raises AudioMissing."""

    def join(self, key: str, *, multipart: str, size_bytes: int) -> None:
        """Make one object of the parts, unless it is one. Raises Conflict where bytes are missing."""

    def abort(self, key: str, *, multipart: str) -> None:
        """Leave no part behind, whether there is one or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of what has arrived of a resumable upload, too short for a part: an object of its own."""

    key: str
    after_parts: int
    """It follows so many parts; once there are more, it is part of them."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """What a resumable upload needs to go on, beside its parts and its job."""

    id: str
    metadata: str
    """As the client gave it."""
    holder: str
    """The request that writes; an earlier one that still believes it does has lost."""
    tail: Tail | None = None


class ResumableStore(Protocol):
    """Resumable uploads until they are whole."""

    def add(self, resumable: Resumable) -> None:
        """Remember a new one; forgotten some days after the last call for it."""

    def get(self, upload_id: str) -> Resumable:
        """Raises NotFound."""

    def take(self, upload_id: str, *, holder: str) -> Resumable:
        """Make a request the only one that writes. Raises NotFound."""

    def leave_tail(self, upload_id: str, *, holder: str, tail: Tail | None) -> bool:
        """Remember a new tail; False where somebody else has taken the upload."""

    def remove(self, upload_id: str) -> None:
        """Forget one, whether it is there or not."""
