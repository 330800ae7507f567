"""A batch of jobs, and the result of each. Pure: time is an argument.

    running ──last job ends──> completed ──a failed job is retried──> running ──> completed

Only the first completion sends a webhook. All times are UNIX seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from shared.domain.job import Job
from shared.domain.job_fields import Callback
from shared.domain.job_state import JobState
from shared.domain.open_enum import OpenEnum, reading_records

MAX_ITEMS = 100
"""One script records them, during which Redis does nothing else, and storage is checked for each."""


class BatchState(OpenEnum):
    """The state of a batch."""

    RUNNING = "running"
    """At least one job is queued or running."""
    COMPLETED = "completed"
    """Every job has ended or was deleted."""


class ItemState(OpenEnum):
    """The state of an item: that of its job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELED = "canceled"
    GONE = "gone"
    """Its job was deleted or has expired, with its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """How an item's job ended."""

    state: ItemState
    verdict: str | None = None
    a4_hz: float | None = None
    confidence: float | None = None
    problem: str | None = None
    """The code of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One job of a batch."""

    job_id: str
    filename: str | None = None
    outcome: ItemOutcome | None = None
    """None: the job is queued or running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as it is recorded. Its items' order is the client's."""

    id: str
    created_at: float
    items: tuple[BatchItem, ...]
    keep_seconds: float
    """How long the batch is kept after its end."""
    owner: str | None = None
    name: str | None = None
    callback: Callback | None = None
    fingerprint: str | None = None
    """Of the request that created it."""
    version: int = 0
    """Raised by the store on every change. A change of an old version is refused."""
    completed_at: float | None = None
    """When all jobs had ended for the first time."""
    settled_at: float | None = None
    """When all jobs had ended; None while one is queued or running."""
    deleting: bool = False
    """Whether it is being deleted: no webhook is sent any more."""
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    def record_job(self, job_id: str, job: Job | None, *, now: float) -> Self:
        """Record the new state of one of its jobs; None: the job was deleted."""
        outcome = ItemOutcome(state=ItemState.GONE) if job is None else _outcome(job)
        items = tuple(
            replace(item, outcome=outcome) if item.job_id == job_id else item for item in self.items
        )
        if any(item.outcome is None for item in items):
            return replace(self, items=items, settled_at=None)
        return replace(
            self,
            items=items,
            settled_at=now if self.settled_at is None else self.settled_at,
            completed_at=now if self.completed_at is None else self.completed_at,
        )

    def mark_deleting(self) -> Self:
        """Mark the batch as being deleted: no webhook is sent any more."""
        return replace(self, deleting=True)

    @property
    def state(self) -> BatchState:
        """The state now. `completed_at` keeps the time of the first completion."""
        return BatchState.RUNNING if self.settled_at is None else BatchState.COMPLETED

    @property
    def expires_at(self) -> float | None:
        """When it is deleted; None while a job is queued or running."""
        return None if self.settled_at is None else self.settled_at + self.keep_seconds

    @property
    def open_ids(self) -> tuple[str, ...]:
        """Ids of the jobs that are queued or running."""
        return tuple(item.job_id for item in self.items if item.outcome is None)

    def states(self, live: Mapping[str, ItemState]) -> tuple[ItemState, ...]:
        """The states of all items in order. *live* has the states of the open ones."""
        return tuple(
            item.outcome.state if item.outcome else live.get(item.job_id, ItemState.QUEUED)
            for item in self.items
        )


def item_state_of(job: Job) -> ItemState:
    """The item state of a job."""
    if job.state is JobState.AWAITING_UPLOAD:
        return ItemState.QUEUED
    with reading_records():  # a newer version may know more states
        return ItemState(job.state.value)


def affected_batch_id(old: Job | None, new: Job | None) -> str | None:
    """The batch that a change of a job affects, if any."""
    before, after = (one is not None and one.state.is_final for one in (old, new))
    job = new or old
    return job.batch_id if job is not None and (new is None or before != after) else None


def _outcome(job: Job) -> ItemOutcome | None:
    if not job.state.is_final:
        return None
    tuning = job.report.tuning if job.report else None
    return ItemOutcome(
        state=item_state_of(job),
        verdict=tuning.verdict if tuning else None,
        a4_hz=tuning.a4_hz if tuning else None,
        confidence=tuning.confidence if tuning else None,
        problem=job.problem.code if job.problem else None,
    )
