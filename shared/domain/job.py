"""A job, and every change of its state. Pure: time is an argument.

    awaiting_upload ──submit──> queued ──start──> running ──succeed──> succeeded
                                  ^  ^              │  ├──fail──────> failed
                                  │  └──release─────┤  ├──give_up───> dead
                                  │     lose_attempt┤  └──cancel────> canceled
                                  │     postpone────┘
                                  └──retry── failed, dead
    queued ──succeed_from_cache──> succeeded, before it is recorded: the same bytes were analyzed before

All times are UNIX seconds. `attempts` only ever grows: it is the retry counter and the fencing token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Required, Self, TypedDict, Unpack

from shared.domain.job_fields import AudioInput, Callback, Lease, Problem
from shared.domain.job_state import JobState, StateTransition, append_transition
from shared.domain.report import Report
from shared.domain.source import Source
from shared.errors import Conflict, LeaseLost

CLOCK_ERROR_SECONDS = 1.0
"""Two processes' estimates of the store's clock differ by less than this. A job due within it is due."""


class NewJob(TypedDict, total=False):
    """The fields that a new job may be given; the others have defaults."""

    id: Required[str]
    queue: Required[str]
    attempts_allowed: Required[int]
    keep_seconds: Required[float]
    input: AudioInput
    source: Source | None
    start_seconds: float | None
    callback: Callback | None
    owner: str | None
    request_id: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is recorded. Methods return a changed job, and refuse what the diagram lacks."""

    id: str
    state: JobState
    queue: str
    created_at: float
    input: AudioInput = field(default_factory=AudioInput)
    start_seconds: float | None = None
    """Where the window begins; None: the first 60 s, and another window if those are inconclusive."""
    owner: str | None = None
    batch_id: str | None = None
    callback: Callback | None = None
    request_id: str | None = None
    traceparent: str | None = None
    """The W3C trace context of the request that created the job, if traces are on."""
    version: int = 0
    """Raised by the store on every change. A change of an old version is refused."""
    attempts: int = 0
    attempts_allowed: int
    keep_seconds: float
    """How long the job is kept after its end."""
    due_at: float | None = None
    """When queued: the earliest start."""
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    """When the job is deleted; None while it is queued or running."""
    lease: Lease | None = None
    cancel_requested: bool = False
    has_audio: bool = True
    """Whether its audio is in our storage."""
    source: Source | None = None
    """The URL of the audio, if it is not in our storage."""
    multipart: str | None = None
    """The store's id of the awaited multipart upload, if it is one."""
    report: Report | None = None
    cached: bool = False
    """Whether the report is that of an earlier analysis of the same bytes."""
    problem: Problem | None = None
    timeline: tuple[StateTransition, ...] = ()
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    @classmethod
    def queued(cls, *, now: float, **fields: Unpack[NewJob]) -> Self:
        """Create a job that waits for a worker. Its audio is in storage unless it has a source."""
        state, has_audio = JobState.QUEUED, fields.get("source") is None
        timeline = (StateTransition(at=now, state=state, attempt=0),)
        return cls(
            state=state,
            created_at=now,
            queued_at=now,
            due_at=now,
            has_audio=has_audio,
            timeline=timeline,
            **fields,
        )

    @classmethod
    def awaiting_upload(cls, *, now: float, expires_at: float, **fields: Unpack[NewJob]) -> Self:
        """Create a job that waits for its audio, until it expires."""
        state = JobState.AWAITING_UPLOAD
        timeline = (StateTransition(at=now, state=state, attempt=0),)
        return cls(
            state=state, created_at=now, expires_at=expires_at, has_audio=False, timeline=timeline, **fields
        )

    def submit(self, *, now: float) -> Self:
        """Queue the job: its audio is stored."""
        self._require(JobState.AWAITING_UPLOAD, verb="submitted")
        return self._enter(JobState.QUEUED, now, queued_at=now, due_at=now, has_audio=True, multipart=None)

    def succeed_from_cache(self, report: Report, *, now: float) -> Self:
        """End a new job with the report of an earlier analysis of the same bytes. No audio is kept."""
        self._require(JobState.QUEUED, verb="answered")
        unseen = replace(self, timeline=(), queued_at=None, due_at=None)
        why = "report of an earlier analysis of the same bytes"
        return unseen._enter(JobState.SUCCEEDED, now, why=why, report=report, cached=True, has_audio=False)

    def set_multipart(self, multipart: str) -> Self:
        """Set the store's id of the awaited multipart upload."""
        self._require(JobState.AWAITING_UPLOAD, verb="uploaded in parts")
        return replace(self, multipart=multipart)

    def extend_upload(self, expires_at: float) -> Self:
        """Wait longer for an upload that makes progress."""
        awaiting = self.state is JobState.AWAITING_UPLOAD
        return replace(self, expires_at=expires_at) if awaiting else self

    def start(self, *, worker: str, now: float, lease_seconds: float) -> Self:
        """Take the lease and raise the attempt counter, or end as dead if no attempt is left.

        Raises:
            Conflict: the job is final, not due yet, or another worker's lease on it is alive.
        """
        if self.state is JobState.RUNNING and self.lease and self.lease.until <= now:
            return self.lose_attempt("lease expired", now=now).start(
                worker=worker, now=now, lease_seconds=lease_seconds
            )
        if self.state is JobState.DEAD:
            return self
        self._require(JobState.QUEUED, verb="started")
        if self.due_at is not None and self.due_at > now + CLOCK_ERROR_SECONDS:
            raise Conflict("The job is not due yet.")
        attempt = self.attempts + 1
        lease = Lease(token=attempt, worker=worker, until=now + lease_seconds)
        return self._enter(
            JobState.RUNNING, now, worker=worker, attempts=attempt, started_at=now, lease=lease
        )

    def renew_lease(self, token: int, *, now: float, lease_seconds: float) -> Self:
        """Extend the lease. Raises LeaseLost if another worker holds it."""
        return replace(self, lease=replace(self._held(token), until=now + lease_seconds))

    def set_size(self, size_bytes: int | None) -> Self:
        """Set the size that the source server reported."""
        return replace(self, input=replace(self.input, size_bytes=size_bytes)) if size_bytes else self

    def succeed(
        self, token: int, report: Report, *, now: float, memory_peak_bytes: int | None = None
    ) -> Self:
        """End with a report."""
        self._held(token)
        return self._enter(
            JobState.SUCCEEDED, now, memory=memory_peak_bytes, report=report, problem=None, finished_at=now
        )

    def fail(
        self,
        token: int,
        problem: Problem,
        *,
        now: float,
        memory_peak_bytes: int | None = None,
        reason: str | None = None,
    ) -> Self:
        """End with a problem of the recording itself. `reason` is for the operator only."""
        self._held(token)
        return self._enter(
            JobState.FAILED,
            now,
            memory=memory_peak_bytes,
            why=reason or problem.code,
            problem=problem,
        )

    def release(self, token: int, reason: str, *, now: float, delay_seconds: float) -> Self:
        """Queue again without counting the attempt. A job with a cancel request ends instead."""
        self._held(token)
        if self.cancel_requested:
            return self._enter(JobState.CANCELED, now, why=reason)
        return self._queue_again(reason, now, delay_seconds, attempts_allowed=self.attempts_allowed + 1)

    def postpone(
        self,
        token: int,
        problem: Problem,
        *,
        now: float,
        delays_seconds: Sequence[float],
        min_delay_seconds: float = 0.0,
    ) -> Self:
        """Queue again without counting the attempt, because the source server is unavailable.

        Fails after one attempt for each of the delays.
        """
        self._held(token)
        if self.cancel_requested:
            return self._enter(JobState.CANCELED, now, why=problem.message)
        if self.source is None or self.source.misses >= len(delays_seconds):
            return self.fail(token, problem, now=now)
        return self._queue_again(
            problem.message,
            now,
            max(delays_seconds[self.source.misses], min_delay_seconds),
            attempts_allowed=self.attempts_allowed + 1,
            source=self.source.count_unavailable(),
        )

    def crash(self, token: int, reason: str, *, now: float, delay_seconds: float) -> Self:
        """End an attempt whose decoder died: queue again, or end as dead."""
        self._held(token)
        return self.lose_attempt(reason, now=now, delay_seconds=delay_seconds)

    def lose_attempt(self, reason: str, *, now: float, delay_seconds: float = 0.0) -> Self:
        """End an attempt without a result: queue again, or end as dead if no attempt is left."""
        self._require(JobState.RUNNING, verb="requeued")
        if self.cancel_requested:
            return self._enter(JobState.CANCELED, now, why=reason)
        if self.attempts < self.attempts_allowed:
            return self._queue_again(reason, now, delay_seconds)
        problem = Problem(
            code="too_many_crashes",
            message=f"The analysis crashed {self.attempts} times and was stopped.",
            retryable=True,
        )
        return self._enter(JobState.DEAD, now, why=reason, problem=problem)

    def cancel(self, *, now: float) -> Self:
        """Cancel at once, or ask the worker to cancel."""
        if self.state is JobState.RUNNING:
            return replace(self, cancel_requested=True)
        self._require(JobState.AWAITING_UPLOAD, JobState.QUEUED, verb="canceled")
        return self._enter(JobState.CANCELED, now, cancel_requested=True)

    def confirm_cancel(self, token: int, *, now: float) -> Self:
        """End as canceled: the lease holder has stopped."""
        self._held(token)
        return self._enter(JobState.CANCELED, now)

    def retry(self, *, now: float, attempts: int, reason: str = "retried by hand") -> Self:
        """Queue a failed or dead job again, with *attempts* more attempts."""
        self._require(JobState.FAILED, JobState.DEAD, verb="retried")
        if not self.audio_available:
            if self.source is not None:
                raise Conflict("The source URL of this job was deleted. Send it again as a new job.")
            raise Conflict("The audio of this job was deleted. Upload the file again.")
        return self._queue_again(
            reason,
            now,
            0.0,
            attempts_allowed=self.attempts + attempts,
            finished_at=None,
            cancel_requested=False,
            problem=None,
            source=self.source.reset_unavailable() if self.source else None,
        )

    def mark_audio_deleted(self) -> Self:
        """Record that the audio is no longer in storage."""
        return replace(self, has_audio=False)

    @property
    def run_seconds(self) -> float | None:
        """How long the last attempt ran; None before its end."""
        ended, started = self.finished_at, self.started_at
        return None if ended is None or started is None else ended - started

    @property
    def audio_available(self) -> bool:
        """Whether its audio is in storage, or its source URL is known."""
        return self.has_audio or (self.source is not None and self.source.url is not None)

    @property
    def audio_unneeded(self) -> bool:
        """Whether no further attempt, automatic or manual, can need the audio."""
        if self.state in {JobState.SUCCEEDED, JobState.CANCELED}:
            return True
        return self.state is JobState.FAILED and not (self.problem and self.problem.retryable)

    def _queue_again(self, why: str, now: float, delay_seconds: float, **changes: Any) -> Self:
        due_at = now + delay_seconds
        return self._enter(
            JobState.QUEUED, now, why=why, due_at=due_at, queued_at=now, started_at=None, **changes
        )

    def _enter(
        self,
        state: JobState,
        now: float,
        *,
        worker: str | None = None,
        memory: int | None = None,
        why: str | None = None,
        **changes: Any,
    ) -> Self:
        attempt = changes.get("attempts", self.attempts)
        holder = worker or (self.lease.worker if self.lease else None)
        event = StateTransition(
            at=now, state=state, attempt=attempt, worker=holder, memory_peak_bytes=memory, why=why
        )
        changes.setdefault("lease", None)
        changes.setdefault("expires_at", now + self.keep_seconds if state.is_final else None)
        if state.is_final:
            changes.setdefault("finished_at", now)
        entered = replace(self, state=state, timeline=append_transition(self.timeline, event), **changes)
        if entered.source is not None and entered.audio_unneeded:
            return replace(entered, source=entered.source.forget_url())
        return entered

    def _held(self, token: int) -> Lease:
        if self.state is not JobState.RUNNING or self.lease is None or self.lease.token != token:
            raise LeaseLost("Another worker has this job now.")
        return self.lease

    def _require(self, *states: JobState, verb: str) -> None:
        if self.state not in states:
            raise Conflict(f"A job that is {self.state} can't be {verb}.")
