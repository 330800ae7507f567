"""Uploads that go straight to storage: presigned requests for one object, then a job of it."""

import os
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.jobs.service import enqueue
from api.uploads.idempotency import Idempotency
from api.uploads.job_factory import JobFactory
from api.uploads.options import JobOptions
from api.uploads.receiving.body import audio_type, require_audio
from api.uploads.receiving.receiver import too_large
from api.uploads.schemas import CreateUpload, PresignedUploadView
from api.uploads.service import accepted
from shared.clock import store_time
from shared.domain.audio.formats import SNIFF_BYTES
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Callback
from shared.domain.job_state import JobState
from shared.errors import AudioMissing, Conflict, NotFound, UnsupportedMedia
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.audio import AudioStore, PartStore, PresignedUpload, PresignedUploadStore
from shared.ports.jobs import JobQueue, JobStore
from shared.schemas.timestamp import timestamp_of

_log = get_logger(__name__)

GRACE_SECONDS = 60.0
"""The record outlives the presigned requests by this, so that a job is not submitted while it expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUploadService:
    """Presigns uploads, and makes jobs of them."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    store: PresignedUploadStore
    parts: PartStore
    factory: JobFactory
    idempotency: Idempotency
    max_upload_bytes: int
    lifetime_seconds: float

    async def create(
        self, request: Request, caller: Caller, options: CreateUpload, raw: bytes, quota: QuotaReservation
    ) -> Response:
        """Record a job that awaits its upload, and return where to send it. *raw*: the body."""
        self.store.check_address()
        if options.bytes > self.max_upload_bytes:
            raise too_large(self.max_upload_bytes)

        async def create(job_id: str) -> Response:
            bind_log_context(job_id=job_id)
            job = await self._new_job(job_id, options, caller)
            job, upload = await run_in_threadpool(self._record, job, quota)
            view = PresignedUploadView.of(job, upload, expires_at=timestamp_of(_deadline(job)))
            return JSONResponse(view.model_dump(mode="json"), 201, {"Location": f"/v1/jobs/{job.id}"})

        return await self.idempotency.run(request, caller, raw, create)

    async def submit(self, upload_id: str, caller: Caller, options: JobOptions) -> Response:
        """Queue the job of an upload. Repeating it changes nothing.

        Raises:
            NotFound: the upload does not exist, or has expired.
            Conflict: not all of it has arrived, or it was submitted with different options.
            UnsupportedMedia: it is not audio; it is deleted.
        """
        job = await run_in_threadpool(self._find, upload_id, caller)
        callback = await self.factory.callback(options, caller)
        return await run_in_threadpool(self._submit, job, options, callback)

    def _submit(self, job: Job, options: JobOptions, callback: Callback | None) -> Response:
        requested = options.apply_to(job, callback)
        if job.state is not JobState.AWAITING_UPLOAD:
            if _options_of(job) != _options_of(requested):
                raise Conflict("This upload has already been submitted with different options.")
            return accepted(job, with_secret=False)
        self._check(job)
        job = self.jobs.change(job.id, lambda job: submitted(job, options, callback))
        enqueue(job, self.queue)
        _log.info("job_accepted", job_id=job.id, filename=job.input.filename, bytes=job.input.size_bytes)
        return accepted(job, with_secret=callback is not None and job.callback == callback)

    def require_ready(self, upload_id: str, caller: Caller) -> Job:
        """Return the job of a complete upload that is not submitted yet. Blocking. Raises as `submit`."""
        job = self._find(upload_id, caller)
        if job.state is not JobState.AWAITING_UPLOAD:
            raise Conflict("This upload has already been submitted. Its job has the same id.")
        self._check(job)
        return job

    async def _new_job(self, job_id: str, options: CreateUpload, caller: Caller) -> Job:
        media_type = audio_type(options.media_type)
        return await self.factory.awaiting_upload(
            job_id,
            caller,
            options,
            AudioInput(filename=options.filename, media_type=media_type, size_bytes=options.bytes),
            expires_at=store_time() + self.lifetime_seconds + GRACE_SECONDS,
        )

    def _record(self, job: Job, quota: QuotaReservation) -> tuple[Job, PresignedUpload]:
        size_bytes = job.input.size_bytes or 0
        quota.admit(size_bytes)
        # recorded before the store knows of it: whatever else the store holds is an orphan
        try:
            self.jobs.add(job)
        except Conflict:  # recorded by a request with the same Idempotency-Key that was killed
            job = self.jobs.get(job.id)
        upload = self.store.presign(
            job.id,
            size_bytes=size_bytes,
            media_type=job.input.media_type or "",
            expires_seconds=int(self.lifetime_seconds),
        )
        multipart = upload.multipart
        if multipart is not None:
            job = self.jobs.change(job.id, lambda job: job.set_multipart(multipart))
        quota.count(job.id, size_bytes)
        return job, upload

    def _find(self, upload_id: str, caller: Caller) -> Job:
        job = self.jobs.get(upload_id)
        caller.check_can_change(job)
        if job.state is JobState.CANCELED:
            raise Conflict("This upload was canceled. Create a new one.")
        return job

    def _check(self, job: Job) -> None:
        if _deadline(job) <= store_time():
            raise NotFound("This upload has expired. Create a new one.")
        size_bytes = job.input.size_bytes or 0
        if job.multipart is not None:
            self.parts.complete(job.id, multipart=job.multipart, size_bytes=size_bytes)
        try:
            with self.audio.open(job.id) as file:
                received_bytes = file.seek(0, os.SEEK_END)
                file.seek(0)
                head = file.read(SNIFF_BYTES)
        except AudioMissing:
            raise Conflict("The file has not arrived yet. Send it first.", code="upload_unfinished") from None
        if received_bytes != size_bytes:
            raise Conflict(
                f"{received_bytes:,} bytes arrived instead of {size_bytes:,}. Send the file again.",
                code="upload_unfinished",
            )
        try:
            require_audio(head)
        except UnsupportedMedia:
            self.jobs.remove(job.id)
            self.audio.delete(job.id)
            raise


def submitted(job: Job, options: JobOptions, callback: Callback | None) -> Job:
    """Return the job queued with these options, or unchanged if it was submitted before."""
    if job.state is not JobState.AWAITING_UPLOAD:
        return job
    return options.apply_to(job, callback).submit(now=store_time())


def _options_of(job: Job) -> tuple[object, ...]:
    """Return what a client may choose. The secret of a callback is not part of it."""
    callback = (job.callback.url, job.callback.events) if job.callback else None
    return job.input.filename, job.start_seconds, job.queue, callback


def _deadline(job: Job) -> float:
    return (job.expires_at or 0.0) - GRACE_SECONDS
