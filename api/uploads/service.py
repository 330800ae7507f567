"""Uploads through the API: from the first byte of a request to a recorded job, or to nothing at all."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.access.authentication import Caller
from api.access.upload_quota import UploadSlot
from api.config import JobLimits
from api.http.limits.slow_clients import MinRateTimeout
from api.jobs.schemas import accepted_view
from api.jobs.service import enqueue
from api.uploads.idempotency import Idempotency, IdempotentRequest, fingerprint, key_reused
from api.uploads.job_factory import JobFactory
from api.uploads.options import JobOptions
from api.uploads.receiving.active_uploads import ActiveUploads
from api.uploads.receiving.body import FORM, UploadBody, open_body
from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.receiving.receiver import UploadDigest, UploadReceiver, UploadTarget, too_large
from api.uploads.report_cache import ReportCache
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.errors import NotFound, Unavailable
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore
from shared.ports.uploads import UploadInfo

_log = get_logger(__name__)

_FORM_OVERHEAD_BYTES = 64 * 1024

NewTimeout = Callable[[], MinRateTimeout]
"""Makes the timeout of one client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    """One request, read as far as the first bytes of its file."""

    body: UploadBody
    receiver: UploadReceiver
    caller: Caller
    query: JobOptions
    slot: UploadSlot
    declared_bytes: int | None

    @property
    def options(self) -> JobOptions:
        """Those that have arrived so far. Raises BadRequest."""
        return self.body.options(self.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadService:
    """Makes jobs of uploads."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    limits: JobLimits
    pool: BufferPool
    active_uploads: ActiveUploads
    idempotency: Idempotency
    report_cache: ReportCache
    factory: JobFactory
    new_timeout: NewTimeout

    async def upload(self, request: Request, caller: Caller, query: JobOptions, slot: UploadSlot) -> Response:
        """Make a job of the request's body. Refuses what it can before it asks for the first byte."""
        declared = self._check_headers(request)
        timeout = self.new_timeout()
        async with (
            self.idempotency.start(request, caller) as attempt,
            UploadReceiver(self.pool, timeout, self.limits) as receiver,
        ):
            upload = _Upload(
                body=await open_body(request, timeout),
                receiver=receiver,
                caller=caller,
                query=query,
                slot=slot,
                declared_bytes=declared,
            )
            if attempt.earlier or (attempt.taken_over and await self._exists(attempt.id)):
                return await self._compare(upload, attempt)
            bind_log_context(job_id=attempt.id)
            job = await self._receive(upload, attempt.id)
            response = accepted(job)
            await attempt.complete(_fingerprint(attempt, job), response)
        if not job.state.is_final:
            await slot.count_job(job.id)
            await run_in_threadpool(enqueue, job, self.queue)
        _log.info("job_accepted", filename=job.input.filename, bytes=job.input.size_bytes, cached=job.cached)
        return response

    def _check_headers(self, request: Request) -> int | None:
        """Return the declared size. Raises TooLarge."""
        headers = request.headers
        declared = int(length) if (length := headers.get("content-length", "")).isdecimal() else None
        overhead = _FORM_OVERHEAD_BYTES if headers.get("content-type", "").startswith(FORM) else 0
        if declared is not None and declared > self.limits.max_upload_bytes + overhead:
            raise too_large(self.limits.max_upload_bytes)
        return declared

    async def _receive(self, upload: _Upload, job_id: str) -> Job:
        """Store the file and record its job, unless an earlier report answers it."""
        options, body = upload.options, upload.body
        callback = await self.factory.callback(options, upload.caller)
        now = store_time()
        info = UploadInfo(
            id=job_id,
            started_at=now,
            seen_at=now,
            declared_bytes=upload.declared_bytes,
            owner=upload.caller.key_id,
            filename=options.filename,
        )
        target = UploadTarget(key=job_id, media_type=body.media_type, audio=self.audio)
        async with self.active_uploads.track(info) as active:

            async def on_chunk(size_bytes: int) -> None:
                await active.add(size_bytes)
                await upload.slot.count(size_bytes)

            async with upload.receiver.store(body.chunks, target, on_chunk) as pending:
                body.digest.verify()
                if upload.options != options:  # the form has fields after the file
                    options = upload.options
                    callback = await self.factory.callback(options, upload.caller)
                input = _audio_input(upload, options, pending.digest)
                new = self.factory.queued(job_id, upload.caller, options, input, callback)
                job = await self.report_cache.answer(new)
                if job.has_audio:
                    await pending.commit()
            await self._record(job)
        return job

    async def _record(self, job: Job) -> None:
        try:
            await run_in_threadpool(self.jobs.add, job)
        except BaseException:
            await asyncio.shield(run_in_threadpool(self._roll_back, job.id))
            raise

    def _roll_back(self, job_id: str) -> None:
        """Remove the record first: audio without a record is the rescuer's; the reverse would be a lie."""
        try:
            self.jobs.remove(job_id)
            self.audio.delete(job_id)
        except Unavailable as error:
            _log.warning("rollback_failed", job_id=job_id, reason=error.message)

    async def _compare(self, upload: _Upload, attempt: IdempotentRequest) -> Response:
        """Answer a repeated request: read it to compare, store nothing. Raises IdempotencyKeyReused."""
        digest = await upload.receiver.digest(upload.body.chunks, upload.slot.count)
        options = upload.options
        callback = await self.factory.callback(options, upload.caller)
        input = _audio_input(upload, options, digest)
        job = self.factory.queued(attempt.id, upload.caller, options, input, callback)
        whole = _fingerprint(attempt, job)
        if attempt.earlier:
            return attempt.replay(whole)
        existing = await run_in_threadpool(self.jobs.get, attempt.id)
        if _fingerprint(attempt, existing) != whole:
            raise key_reused()
        return await attempt.complete(whole, accepted(existing))

    async def _exists(self, job_id: str) -> bool:
        try:
            await run_in_threadpool(self.jobs.get, job_id)
        except NotFound:
            return False
        return True


def accepted(job: Job, *, with_secret: bool = True) -> JSONResponse:
    """Return 202 with the job's Location. Only the first response has the secret of its callback."""
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "0" if job.state.is_final else "1"}
    return JSONResponse(accepted_view(job, with_secret=with_secret).model_dump(mode="json"), 202, headers)


def _audio_input(upload: _Upload, options: JobOptions, digest: UploadDigest) -> AudioInput:
    return AudioInput(
        filename=options.filename,
        media_type=upload.body.media_type,
        size_bytes=digest.size_bytes,
        sha256=digest.sha256,
    )


def _fingerprint(attempt: IdempotentRequest, job: Job) -> str:
    callback = (job.callback.url, *job.callback.events) if job.callback else ()
    return fingerprint(
        attempt.request_fingerprint, *asdict(job.input).values(), job.start_seconds, job.queue, *callback
    )
