"""Resumable uploads over tus. What has arrived is in storage, and storage is asked for it each time.

So memory and disk use stay flat, and any API process can continue where another one was killed.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import methodcaller

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.config import JobLimits
from api.http.request_body import stream_body
from api.jobs.service import enqueue
from api.tus.append import Append
from api.tus.checksum import BodyChecks
from api.tus.storage import StoredUpload, TusStorage
from api.uploads.job_factory import JobFactory
from api.uploads.options import JobOptions
from api.uploads.presigned import GRACE_SECONDS
from api.uploads.receiving.active_uploads import ActiveUploads
from api.uploads.receiving.body import require_audio
from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.receiving.receiver import UploadReceiver
from api.uploads.service import NewTimeout
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from shared.errors import AudioMissing, Conflict, NotFound, TooLarge, Unavailable, UnsupportedMedia
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.jobs import JobQueue, JobStore
from shared.ports.uploads import TusUpload, UploadInfo

_log = get_logger(__name__)

_EXTEND_SECONDS = 60.0
_MAX_SAVING_SECONDS = 3.0
_SAVING_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTusUpload:
    """What a client declares of a new upload."""

    media_type: str
    length: int
    metadata: str
    """Upload-Metadata as the client sent it."""
    options: JobOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an upload is."""

    offset: int
    length: int
    metadata: str
    expires_at: float
    """UNIX seconds; when it is removed if nothing more arrives."""
    callback_secret: str | None = None
    """Only of a new upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TusService:
    """Creates, continues and ends resumable uploads. Each is a job that awaits its upload."""

    jobs: JobStore
    queue: JobQueue
    storage: TusStorage
    factory: JobFactory
    pool: BufferPool
    active_uploads: ActiveUploads
    limits: JobLimits
    new_timeout: NewTimeout
    delete_job: Callable[[str], None]

    async def create(
        self, job_id: str, new: NewTusUpload, caller: Caller, quota: QuotaReservation
    ) -> Progress:
        """Record a job that awaits its upload. Raises AddressRefused, LimitReached, Overloaded, QueueFull."""
        await run_in_threadpool(quota.admit, new.length)
        expires_at = self._expires_at()
        input = AudioInput(filename=new.options.filename, media_type=new.media_type, size_bytes=new.length)
        job = await self.factory.awaiting_upload(job_id, caller, new.options, input, expires_at=expires_at)
        await run_in_threadpool(self._record, job, new, quota)
        return Progress(
            offset=0,
            length=new.length,
            metadata=new.metadata,
            expires_at=expires_at - GRACE_SECONDS,
            callback_secret=job.callback.secret if job.callback else None,
        )

    def _record(self, job: Job, new: NewTusUpload, quota: QuotaReservation) -> None:
        with contextlib.suppress(Conflict):  # by a request with the same Idempotency-Key that was killed
            self.jobs.add(job)
        try:
            self.storage.uploads.get(job.id)
        except NotFound:
            self.storage.uploads.add(TusUpload(id=job.id, metadata=new.metadata, lock_owner=""))
        quota.count(job.id, new.length)

    async def wait_until_saved(self, job_id: str) -> None:
        """Wait while an earlier request of this upload ends, so that its bytes count. For a few seconds only:
        it can hang, too.
        """
        ends_at = time.monotonic() + _MAX_SAVING_SECONDS
        while self.active_uploads.is_active(job_id) and time.monotonic() < ends_at:
            await asyncio.sleep(_SAVING_POLL_SECONDS)

    def progress(self, job_id: str, caller: Caller) -> Progress:
        """Return how far an upload is; a complete one stays at its end. Raises NotFound."""
        job = self.jobs.get(job_id)
        caller.check_can_read(job)
        if job.state is not JobState.AWAITING_UPLOAD:
            return _complete(job)
        upload = self.storage.look_up(job, self.storage.uploads.get(job_id))
        if upload.offset == upload.length:
            self._finish(job_id)  # left by a process that died; its client would not ask again
        return _progress(upload, job, offset=upload.offset)

    def remove(self, job_id: str, caller: Caller) -> None:
        """Remove an upload and all that has arrived, or the job that it has become. Raises NotFound."""
        job = self.jobs.get(job_id)
        caller.check_can_change(job)
        if job.state is JobState.AWAITING_UPLOAD:
            self.storage.remove(job)
        else:
            self.delete_job(job_id)

    async def append(
        self,
        request: Request,
        job_id: str,
        caller: Caller,
        *,
        offset: int,
        checks: BodyChecks | None = None,
    ) -> Progress:
        """Append the body of a request. What arrives is kept, however the request ends.

        An empty body for a complete upload is not an error: its client missed the last response.

        Raises:
            NotFound: the upload does not exist, or it was canceled.
            Conflict: it is at another offset, or another request has taken it over.
            TooLarge: the body is longer than what is missing.
            UnsupportedMedia: it is not audio; it is removed.
            ChecksumMismatch: the body is not as the client sent it.
        """
        bind_log_context(job_id=job_id)
        lock_owner = secrets.token_hex(8)
        upload = await run_in_threadpool(self._lock, job_id, lock_owner, caller)
        if upload.offset != offset:
            raise Conflict(
                f"The upload is at offset {upload.offset}. Continue from there.", code="wrong_offset"
            )
        too_long = TooLarge(
            f"The body goes beyond the declared Upload-Length of {upload.length:,} bytes.",
            limit_bytes=upload.length,
        )
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and offset + int(declared) > upload.length:
            raise too_long
        if upload.job.state is not JobState.AWAITING_UPLOAD:
            return _complete(upload.job)
        timeout = self.new_timeout()
        async with (
            UploadReceiver(self.pool, timeout, self.limits, offset=offset, limit=too_long) as receiver,
            self.active_uploads.track(_info(upload, caller)) as active,
            self._extended(job_id),
        ):
            append = Append(
                upload,
                receiver,
                self.storage,
                lock_owner=lock_owner,
                parts_in_flight=self.limits.upload_parts_in_flight,
                checks=checks,
            )
            chunks = stream_body(request, timeout, checks)
            try:
                await append.write(chunks, active.add)
            except UnsupportedMedia:
                await run_in_threadpool(self.storage.remove, upload.job)
                raise
        if receiver.size_bytes == upload.length:
            await run_in_threadpool(self._finish, job_id)
        job = await run_in_threadpool(self.jobs.get, job_id)
        return _progress(upload, job, offset=receiver.size_bytes)

    def _lock(self, job_id: str, lock_owner: str, caller: Caller) -> StoredUpload:
        job = self.jobs.get(job_id)
        caller.check_can_change(job)
        if job.state is not JobState.AWAITING_UPLOAD:
            if job.queued_at is None:
                raise NotFound("This upload was canceled.")
            return StoredUpload.complete(job)
        return self.storage.look_up(job, self.storage.uploads.acquire(job_id, lock_owner=lock_owner))

    def _finish(self, job_id: str) -> None:
        """Queue the job of a complete upload. Called again after a crash, it does the rest."""
        job = self.jobs.get(job_id)
        self.storage.join(job)
        try:
            size_bytes, head = self.storage.read_head(job)
        except AudioMissing:
            self.storage.remove(job)
            raise NotFound("What had arrived of this upload was removed. Create a new one.") from None
        if size_bytes != job.input.size_bytes:
            raise Conflict(
                "Not all of the file has arrived. Send HEAD for its offset.", code="upload_unfinished"
            )
        try:
            require_audio(head)
        except UnsupportedMedia:
            self.storage.remove(job)
            raise
        job = self.jobs.change(job_id, _submitted)
        enqueue(job, self.queue)
        _log.info("job_accepted", filename=job.input.filename, bytes=job.input.size_bytes)
        try:
            self.storage.forget(job_id)
        except Unavailable as error:
            _log.warning("remainder_delete_failed", reason=error.message)

    @asynccontextmanager
    async def _extended(self, job_id: str) -> AsyncIterator[None]:
        """Keep the upload from expiring while its bytes arrive."""
        extending = asyncio.create_task(self._extend(job_id))
        try:
            yield
        finally:
            extending.cancel()

    async def _extend(self, job_id: str) -> None:
        while True:
            extend = methodcaller("extend_upload", self._expires_at())
            with contextlib.suppress(Unavailable, NotFound):
                await run_in_threadpool(self.jobs.change, job_id, extend)
            await asyncio.sleep(_EXTEND_SECONDS)

    def _expires_at(self) -> float:
        return store_time() + self.limits.direct_upload_seconds + GRACE_SECONDS


def _submitted(job: Job) -> Job:
    return job.submit(now=store_time()) if job.state is JobState.AWAITING_UPLOAD else job


def _progress(upload: StoredUpload, job: Job, *, offset: int) -> Progress:
    return Progress(
        offset=offset,
        length=upload.length,
        metadata=upload.record.metadata,
        expires_at=(job.expires_at or 0.0) - GRACE_SECONDS,
    )


def _complete(job: Job) -> Progress:
    length = job.input.size_bytes or 0
    return Progress(offset=length, length=length, metadata="", expires_at=job.expires_at or 0.0)


def _info(upload: StoredUpload, caller: Caller) -> UploadInfo:
    now = store_time()
    return UploadInfo(
        id=upload.job.id,
        started_at=now,
        seen_at=now,
        received_bytes=upload.offset,
        declared_bytes=upload.length,
        owner=caller.key_id,
        filename=upload.job.input.filename,
    )
