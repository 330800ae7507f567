"""Quotas of an API key or address: bytes per day, concurrent uploads, queued jobs. See CurrentUpload.

While the counters are unavailable, an upload is refused before its first byte, because its job could not be
recorded. A body without Content-Length is counted as it arrives, so it can exceed the daily bytes once.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.config import RateLimits
from shared.domain.job_state import JobState
from shared.errors import LimitReached, NotFound, QueueFull, Unavailable
from shared.observability.logs import get_logger
from shared.ports.access import Quota, RateLimiter
from shared.ports.jobs import JobStore

_log = get_logger(__name__)

_SLOT_SECONDS = 120.0
"""A slot that is not renewed for this long belongs to an API process that died."""
_RENEW_SECONDS = 20.0
_RENEW_BYTES = 32 * 1024 * 1024
_DAY_SECONDS = 86_400
_UNLIMITED = 1_000_000_000


class UploadQuota:
    """Checks an upload against the quotas before it is read. Blocking."""

    def __init__(self, *, limiter: RateLimiter, jobs: JobStore, limits: RateLimits) -> None:
        self._limiter = limiter
        self._jobs = jobs
        self._limits = limits
        self._bytes = Quota(
            name="bytes", limit=limits.bytes_per_day or _UNLIMITED, window_seconds=_DAY_SECONDS
        )

    def check_backlog(self, *, jobs: int = 1) -> None:
        """Raise QueueFull if the queues, or Redis, have no room for this many new jobs."""
        if self._jobs.memory().share >= self._limits.max_memory_share:
            raise QueueFull("The job store is almost full. Try again in a minute.")
        queued = sum(self._jobs.backlog(queue).waiting for queue in self._limits.queues)
        if queued + jobs > self._limits.max_queued_jobs:
            raise QueueFull("The queue is full. Try again in a minute.")

    def check_jobs(self, subject: str, *, jobs: int = 1) -> None:
        """Raise LimitReached if the subject would have too many queued jobs with this many new ones."""
        limit = self._limits.max_queued_jobs_per_caller
        if limit is None:
            return
        job_ids = self._limiter.list_slots("jobs", subject)
        queued = len(job_ids)
        for job_id in job_ids:
            if queued + jobs <= limit:
                return
            if not self._is_waiting(job_id):
                self._limiter.release_slot("jobs", subject, job_id)
                queued -= 1
        if queued + jobs > limit:
            raise LimitReached(
                f"You already have {queued} queued jobs (limit {limit}). "
                "Wait until some are finished, then try again.",
                code="too_many_jobs",
                retry_after_seconds=5,
            )

    def check_bytes(self, subject: str, declared: int) -> None:
        """Raise LimitReached if the declared size exceeds what remains of the daily quota."""
        if self._limits.bytes_per_day is None:
            return
        allowance = self._limiter.peek(self._bytes, subject)
        if not allowance.allowed or declared > allowance.remaining:
            raise LimitReached(
                f"You have {allowance.remaining:,} bytes left of your daily quota of {self._bytes.limit:,}. "
                f"It resets in {allowance.reset_seconds} s.",
                code="too_many_bytes",
                retry_after_seconds=allowance.reset_seconds,
            )

    def acquire_slot(self, subject: str, slot_id: str) -> None:
        """Start an upload. Raises LimitReached."""
        limit = self._limits.max_concurrent_uploads
        if limit is None or self._limiter.acquire_slot(
            "uploads", subject, slot_id, limit=limit, ttl_seconds=_SLOT_SECONDS
        ):
            return
        raise LimitReached(
            f"You have {limit} uploads in progress, which is the limit. Try again when one finishes.",
            code="too_many_uploads",
            retry_after_seconds=5,
        )

    def renew_slot(self, subject: str, slot_id: str, received_bytes: int) -> None:
        """Keep the slot of a running upload, and count the bytes that arrived since the last call."""
        if self._limits.max_concurrent_uploads is not None:
            self._limiter.acquire_slot(
                "uploads", subject, slot_id, limit=_UNLIMITED, ttl_seconds=_SLOT_SECONDS
            )
        self.count_bytes(subject, received_bytes)

    def release_slot(self, subject: str, slot_id: str, received_bytes: int) -> None:
        """End an upload, whether it succeeded or not."""
        if self._limits.max_concurrent_uploads is not None:
            self._limiter.release_slot("uploads", subject, slot_id)
        self.count_bytes(subject, received_bytes)

    def count_bytes(self, subject: str, received_bytes: int) -> None:
        """Count bytes that the subject uploaded, through this API or directly to the storage."""
        if self._limits.bytes_per_day is not None and received_bytes:
            self._limiter.charge(self._bytes, subject, received_bytes)

    def count_job(self, subject: str, job_id: str) -> None:
        """Count this job as queued for the subject."""
        if self._limits.max_queued_jobs_per_caller is not None:
            self._limiter.acquire_slot("jobs", subject, job_id, limit=_UNLIMITED, ttl_seconds=_DAY_SECONDS)

    def _is_waiting(self, job_id: str) -> bool:
        try:
            return self._jobs.get(job_id).state in {JobState.QUEUED, JobState.AWAITING_UPLOAD}
        except NotFound:
            return False


class UploadSlot:
    """The permission to upload one file now."""

    def __init__(self, quota: UploadQuota, subject: str) -> None:
        self.subject = subject
        self._quota = quota
        self._slot_id = secrets.token_hex(8)
        self._uncounted_bytes = 0
        self._renew_at = 0.0

    def enter(self, declared: int) -> None:
        """Acquire the slot. Raises LimitReached, QueueFull, Unavailable."""
        self._quota.check_backlog()
        self._quota.check_jobs(self.subject)
        self._quota.check_bytes(self.subject, declared)
        self._quota.acquire_slot(self.subject, self._slot_id)
        self._renew_at = time.monotonic() + _RENEW_SECONDS

    async def count(self, size_bytes: int) -> None:
        """Count bytes that arrived, and renew the slot from time to time."""
        self._uncounted_bytes += size_bytes
        if self._uncounted_bytes >= _RENEW_BYTES or time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + _RENEW_SECONDS
            await run_in_threadpool(self._report, self._quota.renew_slot)

    async def count_job(self, job_id: str) -> None:
        """Count the job that the upload created."""
        try:
            await run_in_threadpool(self._quota.count_job, self.subject, job_id)
        except Unavailable as error:
            _log.warning("job_count_failed", reason=error.message)

    async def leave(self) -> None:
        """Release the slot."""
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(self._report, self._quota.release_slot)

    def _report(self, call: Callable[[str, str, int], None]) -> None:
        received_bytes, self._uncounted_bytes = self._uncounted_bytes, 0
        try:
            call(self.subject, self._slot_id, received_bytes)
        except Unavailable as error:
            _log.warning("upload_count_failed", reason=error.message, bytes=received_bytes)


async def upload_slot(request: Request, caller: CurrentCaller) -> AsyncIterator[UploadSlot]:
    """A slot for this request's upload. Released when the request ends."""
    quota: UploadQuota = request.app.state.upload_quota
    slot = UploadSlot(quota, caller.subject)
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
    await run_in_threadpool(slot.enter, size)
    try:
        yield slot
    finally:
        await slot.leave()


CurrentUpload = Annotated[UploadSlot, Depends(upload_slot)]


class QuotaReservation:
    """The quota of one caller, for uploads that bypass this API or take several requests. Blocking."""

    def __init__(self, quota: UploadQuota, subject: str) -> None:
        self._quota = quota
        self._subject = subject

    def admit(self, declared: int, *, jobs: int = 1, counted_jobs: int = 0) -> None:
        """Admit *jobs* new jobs and *counted_jobs* that were counted before and are queued now.

        Raises LimitReached, QueueFull, Unavailable.
        """
        self._quota.check_backlog(jobs=jobs + counted_jobs)
        self._quota.check_jobs(self._subject, jobs=jobs)
        self._quota.check_bytes(self._subject, declared)

    def count(self, job_id: str, declared: int) -> None:
        """Count the declared bytes, and the job as queued."""
        try:
            self._quota.count_bytes(self._subject, declared)
            self._quota.count_job(self._subject, job_id)
        except Unavailable as error:
            _log.warning("upload_count_failed", reason=error.message, bytes=declared)


async def current_quota(request: Request, caller: CurrentCaller) -> QuotaReservation:
    """The quota of this request's caller."""
    return QuotaReservation(request.app.state.upload_quota, caller.subject)


CurrentQuota = Annotated[QuotaReservation, Depends(current_quota)]
