"""Whether an upload may begin: bytes a day, uploads at once, jobs that wait. A route takes CurrentUpload.

While the counters are away, uploads are refused before their first byte: they could not be recorded at
their end. A body without Content-Length is counted as it arrives; it can pass the day's bytes, once.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.access.rate_limit import subject_of
from api.config import Limits
from shared.domain.job_state import JobState
from shared.errors import LimitReached, NotFound, QueueFull, Unavailable
from shared.observability.logs import get_logger
from shared.ports.access import Quota, RateLimiter
from shared.ports.jobs import JobStore

_log = get_logger(__name__)

_PLACE_SECONDS = 120.0
"""A place whose upload is not heard of for so long belongs to an API process that died."""
_BEAT_SECONDS = 20.0
_BEAT_BYTES = 32 * 1024 * 1024
_DAY_SECONDS = 86_400
_NO_MOST = 1_000_000_000


class UploadQuota:
    """Decides about uploads before they are read. Blocking."""

    def __init__(self, *, limiter: RateLimiter, jobs: JobStore, limits: Limits) -> None:
        self._limiter = limiter
        self._jobs = jobs
        self._limits = limits
        self._bytes = Quota(name="bytes", limit=limits.bytes_per_day or _NO_MOST, window_seconds=_DAY_SECONDS)

    def check_backlog(self, *, jobs: int = 1) -> None:
        """Raise QueueFull where so many new jobs would wait too long."""
        waiting = sum(self._jobs.backlog(queue).waiting for queue in self._limits.queues)
        if waiting + jobs > self._limits.queue_most:
            raise QueueFull("Too many jobs are waiting already; try again in some minutes.")

    def check_jobs(self, subject: str, *, jobs: int = 1) -> None:
        """Raise LimitReached where too many of the subject's jobs would wait with so many new ones."""
        most = self._limits.jobs_queued
        if most is None:
            return
        held = self._limiter.list_slots("jobs", subject)
        left = len(held)
        for job_id in held:
            if left + jobs <= most:
                return
            if not self._waits(job_id):
                self._limiter.release_slot("jobs", subject, job_id)
                left -= 1
        if left + jobs > most:
            raise LimitReached(
                f"{left} of your jobs are waiting, of {most} that may; send more when some of them are done.",
                code="too_many_jobs",
                retry_after_seconds=5,
            )

    def check_bytes(self, subject: str, declared: int) -> None:
        """Raise LimitReached where less than the declared size, or nothing, is left of today's bytes."""
        if self._limits.bytes_per_day is None:
            return
        allowance = self._limiter.peek(self._bytes, subject)
        if not allowance.allowed or declared > allowance.remaining:
            raise LimitReached(
                f"Of {self._bytes.limit:,} bytes a day, {allowance.remaining:,} are left; "
                f"there are more in {allowance.reset_seconds} s.",
                code="too_many_bytes",
                retry_after_seconds=allowance.reset_seconds,
            )

    def acquire_slot(self, subject: str, place: str) -> None:
        """Begin an upload. Raises LimitReached."""
        most = self._limits.uploads_at_once
        if most is None or self._limiter.acquire_slot(
            "uploads", subject, place, limit=most, ttl_seconds=_PLACE_SECONDS
        ):
            return
        raise LimitReached(
            f"You are sending {most} files at once; send this one when another is through.",
            code="too_many_uploads",
            retry_after_seconds=5,
        )

    def renew_slot(self, subject: str, place: str, received: int) -> None:
        """Say that an upload goes on, and count what has arrived."""
        if self._limits.uploads_at_once is not None:
            self._limiter.acquire_slot("uploads", subject, place, limit=_NO_MOST, ttl_seconds=_PLACE_SECONDS)
        self.count_bytes(subject, received)

    def release_slot(self, subject: str, place: str, received: int) -> None:
        """End an upload, however it ended."""
        if self._limits.uploads_at_once is not None:
            self._limiter.release_slot("uploads", subject, place)
        self.count_bytes(subject, received)

    def count_bytes(self, subject: str, received: int) -> None:
        """Count what has arrived, by this way or another."""
        if self._limits.bytes_per_day is not None and received:
            self._limiter.charge(self._bytes, subject, received)

    def count_job(self, subject: str, job_id: str) -> None:
        """Remember that this job waits for the subject."""
        if self._limits.jobs_queued is not None:
            self._limiter.acquire_slot("jobs", subject, job_id, limit=_NO_MOST, ttl_seconds=_DAY_SECONDS)

    def _waits(self, job_id: str) -> bool:
        try:
            return self._jobs.get(job_id).state in {JobState.QUEUED, JobState.AWAITING_UPLOAD}
        except NotFound:
            return False


class UploadSlot:
    """The right to send one file."""

    def __init__(self, admission: UploadQuota, subject: str) -> None:
        self.subject = subject
        self._admission = admission
        self._place = secrets.token_hex(8)
        self._uncounted = 0
        self._next_beat = 0.0

    def enter(self, declared: int) -> None:
        """Take the slot. Raises LimitReached, QueueFull, Unavailable."""
        self._admission.check_backlog()
        self._admission.check_jobs(self.subject)
        self._admission.check_bytes(self.subject, declared)
        self._admission.acquire_slot(self.subject, self._place)
        self._next_beat = time.monotonic() + _BEAT_SECONDS

    async def count(self, size_bytes: int) -> None:
        """Count what has arrived, and keep the slot while more comes."""
        self._uncounted += size_bytes
        if self._uncounted >= _BEAT_BYTES or time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + _BEAT_SECONDS
            await run_in_threadpool(self._quietly, self._admission.renew_slot)

    async def count_job(self, job_id: str) -> None:
        """The upload has become a job that waits."""
        try:
            await run_in_threadpool(self._admission.count_job, self.subject, job_id)
        except Unavailable as error:
            _log.warning("job_not_counted", why=error.message)

    async def leave(self) -> None:
        """Give the slot back."""
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(self._quietly, self._admission.release_slot)

    def _quietly(self, tell: Callable[[str, str, int], None]) -> None:
        received, self._uncounted = self._uncounted, 0
        try:
            tell(self.subject, self._place, received)
        except Unavailable as error:
            _log.warning("upload_not_counted", why=error.message, bytes=received)


async def upload_slot(request: Request, caller: CurrentCaller) -> AsyncIterator[UploadSlot]:
    """A slot for this request's upload, given back at its end."""
    admission: UploadQuota = request.app.state.admission
    slot = UploadSlot(admission, subject_of(caller, request.client.host if request.client else None))
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
    await run_in_threadpool(slot.enter, size)
    try:
        yield slot
    finally:
        await slot.leave()


CurrentUpload = Annotated[UploadSlot, Depends(upload_slot)]


class QuotaReservation:
    """What one caller may still have, for uploads that do not pass through us. Blocking."""

    def __init__(self, admission: UploadQuota, subject: str) -> None:
        self._admission = admission
        self._subject = subject

    def admit(self, declared: int, *, jobs: int = 1, counted_jobs: int = 0) -> None:
        """Let so many jobs come, beside some that were counted before and now begin to wait for a worker.

        Raises LimitReached, QueueFull, Unavailable.
        """
        self._admission.check_backlog(jobs=jobs + counted_jobs)
        self._admission.check_jobs(self._subject, jobs=jobs)
        self._admission.check_bytes(self._subject, declared)

    def count(self, job_id: str, declared: int) -> None:
        """The upload may begin: its bytes count from now on, and its job as one that waits."""
        try:
            self._admission.count_bytes(self._subject, declared)
            self._admission.count_job(self._subject, job_id)
        except Unavailable as error:
            _log.warning("upload_not_counted", why=error.message, bytes=declared)


async def quota_of(request: Request, caller: CurrentCaller) -> QuotaReservation:
    """The share of whoever sends this request."""
    address = request.client.host if request.client else None
    return QuotaReservation(request.app.state.admission, subject_of(caller, address))


CurrentShare = Annotated[QuotaReservation, Depends(quota_of)]
