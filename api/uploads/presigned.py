"""Uploads that never pass through the API: an offer to write one object, then a job of it."""

import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import Field

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.http.request_body import read_json
from api.uploads.body import audio_type, require_audio
from api.uploads.filenames import clean_filename
from api.uploads.idempotency import fingerprint
from api.uploads.receiver import too_large
from api.uploads.service import QueueName, UploadService, accepted
from api.uploads.source_url import JobWishes, as_wished, same_wishes, with_wishes
from api.webhooks.callback import CallbackWish
from shared.domain.audio_format import SNIFF_BYTES
from shared.domain.job import AudioInput, Job
from shared.domain.job_state import JobState
from shared.errors import AudioMissing, Conflict, NotFound, UnsupportedMedia
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.audio import PartStore, PresignedUpload, PresignedUploadStore
from shared.schemas.job import View

_log = get_logger(__name__)

GRACE_SECONDS = 60.0
"""The record outlives the offer by so much, so that nobody submits a job that is being forgotten."""


class UploadWish(JobWishes):
    """What is going to be uploaded."""

    bytes: int = Field(gt=0, description="Exactly so many will be taken.", examples=[734_003_200])
    media_type: str = Field(default="application/octet-stream", max_length=100, examples=["audio/flac"])


class PresignedRequestView(View):
    """A request to send as it is; `bytes` of the file, and nothing else, as its body."""

    method: str = Field(examples=["PUT"])
    url: str
    headers: dict[str, str] = Field(examples=[{"Content-Type": "audio/flac"}])
    first_byte: int = Field(description="Where in the file its bytes begin.", examples=[0])
    bytes: int = Field(examples=[67_108_864])


class PresignedFormView(View):
    """For `multipart/form-data`: these fields first, then the file as `file`."""

    url: str
    fields: dict[str, str]


class PresignedUploadView(View):
    """Where to send the file. Then: `POST /v1/jobs {"upload_id": …}`."""

    upload_id: str = Field(description="Also the id of the job.", examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    expires_at: datetime
    requests: list[PresignedRequestView] = Field(
        description="One, or for a large file one for each part, in any order and at once."
    )
    form: PresignedFormView | None = Field(description="Instead of the one request; null for a large file.")
    callback_secret: str | None = Field(
        description="What the callback is signed with, for a caller without an API key; shown only here."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUploadService:
    """Makes offers, and jobs of what came."""

    store: PresignedUploadStore
    parts: PartStore
    submissions: UploadService
    seconds: float

    async def offer(self, request: Request, caller: Caller, share: QuotaReservation) -> Response:
        """Record a job that awaits its upload, and say where to send it."""
        terms = self.submissions.terms
        wish, raw = await read_json(request, UploadWish, pace=self.submissions.pace())
        if wish.bytes > terms.max_upload_bytes:
            raise too_large(terms.max_upload_bytes)
        media_type = audio_type(wish.media_type)
        async with self.submissions.idempotency.once(request, caller) as once:
            whole = fingerprint(once.head, raw)
            if once.answered:
                return once.replay(whole)
            bind_log_context(job_id=once.subject)
            input = AudioInput(
                filename=clean_filename(wish.filename), media_type=media_type, size_bytes=wish.bytes
            )
            job, offer = await run_in_threadpool(self._record, once.subject, input, wish, caller, share)
            answer = JSONResponse(
                _view(job, offer).model_dump(mode="json"),
                201,
                {"Location": f"/v1/jobs/{job.id}"},
            )
            return await once.answer(whole, answer)

    async def submit(self, upload_id: str, caller: Caller, wish: JobWishes) -> Response:
        """Let a worker have what was uploaded. Said twice, it does no more.

        Raises:
            NotFound: there is no such upload, or its time is over.
            Conflict: not all of it is there, or it was submitted with other wishes.
            UnsupportedMedia: it is no sound; it is deleted.
        """
        job, with_secret = await run_in_threadpool(self._submit, upload_id, caller, wish)
        return accepted(job, with_secret=with_secret)

    def _record(
        self, job_id: str, input: AudioInput, wish: UploadWish, caller: Caller, share: QuotaReservation
    ) -> tuple[Job, PresignedUpload]:
        jobs = self.submissions.jobs
        asked = CallbackWish.of({}, url=wish.callback_url, events=wish.events)
        callback = asked.grant(caller, check_url=self.submissions.check_url)
        share.admit(wish.bytes)
        expires_at = time.time() + self.seconds + GRACE_SECONDS
        job = self.submissions.new_job(
            job_id,
            input=input,
            start_seconds=wish.start_seconds,
            caller=caller,
            queue=QueueName(wish.queue or QueueName.INTERACTIVE),
            expires_at=expires_at,
        )
        job = replace(job, callback=callback)
        # recorded before the store knows of it: what the store holds besides is an orphan
        try:
            jobs.add(job)
        except Conflict:  # recorded by a request of the same Idempotency-Key that was killed
            job = jobs.get(job_id)
        offer = self.store.presign(
            job_id,
            size_bytes=wish.bytes,
            media_type=input.media_type or "",
            expires_seconds=int(self.seconds),
        )
        multipart = offer.multipart
        if multipart is not None:
            job = jobs.change(job_id, lambda job: job.set_multipart(multipart))
        share.count(job_id, wish.bytes)
        return job, offer

    def ready(self, upload_id: str, caller: Caller) -> Job:
        """An upload that is whole and sound and was not submitted yet. Blocking. Raises as `submit` does."""
        job = self._found(upload_id, caller)
        if job.state is not JobState.AWAITING_UPLOAD:
            raise Conflict("This upload was submitted already: it is the job of the same id.")
        self._check(job)
        return job

    def _submit(self, upload_id: str, caller: Caller, wish: JobWishes) -> tuple[Job, bool]:
        """The job, and whether the secret of its callback was made just now."""
        jobs = self.submissions.jobs
        job = self._found(upload_id, caller)
        wanted = with_wishes(job, wish, caller, check_url=self.submissions.check_url)
        if job.state is not JobState.AWAITING_UPLOAD:
            if not same_wishes(job, wanted):
                raise Conflict("This upload was submitted already, and with other wishes.")
            return job, False
        self._check(job)
        now = time.time()
        job = jobs.change(upload_id, lambda job: submitted(as_wished(job, wanted), now=now))
        self.submissions.enqueue(job)
        _log.info("job_accepted", job_id=job.id, filename=job.input.filename, bytes=job.input.size_bytes)
        return job, wish.callback_url is not None and job.callback == wanted.callback

    def _found(self, upload_id: str, caller: Caller) -> Job:
        job = self.submissions.jobs.get(upload_id)
        caller.check_changes(job)
        if job.state is JobState.CANCELED:
            raise Conflict("This upload was canceled; ask for a new one.")
        return job

    def _check(self, job: Job) -> None:
        if _deadline(job) <= time.time():
            raise NotFound("The time for this upload is over; ask for a new one.")
        audio, size_bytes = self.submissions.audio, job.input.size_bytes or 0
        if job.multipart is not None:
            self.parts.complete(job.id, multipart=job.multipart, size_bytes=size_bytes)
        try:
            with audio.open(job.id) as file:
                arrived = file.seek(0, os.SEEK_END)
                file.seek(0)
                head = file.read(SNIFF_BYTES)
        except AudioMissing:
            raise Conflict("The file has not arrived yet; send it first.", code="upload_unfinished") from None
        if arrived != size_bytes:
            raise Conflict(
                f"{arrived:,} bytes arrived instead of {size_bytes:,}; send the file again.",
                code="upload_unfinished",
            )
        try:
            require_audio(head)
        except UnsupportedMedia:
            self.submissions.jobs.remove(job.id)
            audio.delete(job.id)
            raise


def _view(job: Job, offer: PresignedUpload) -> PresignedUploadView:
    starts = accumulate((each.size_bytes for each in offer.requests), initial=0)
    return PresignedUploadView(
        upload_id=job.id,
        expires_at=datetime.fromtimestamp(_deadline(job), UTC),
        requests=[
            PresignedRequestView(
                method=each.method,
                url=each.url,
                headers=each.headers,
                first_byte=start,
                bytes=each.size_bytes,
            )
            for each, start in zip(offer.requests, starts, strict=False)
        ],
        form=PresignedFormView.model_validate(offer.form) if offer.form else None,
        callback_secret=job.callback.secret if job.callback else None,
    )


def submitted(job: Job, *, now: float) -> Job:
    """The step from awaiting its upload to waiting for a worker; taken before, it does nothing."""
    awaiting = job.state is JobState.AWAITING_UPLOAD
    return job.submit(now=now) if awaiting else job


def _deadline(job: Job) -> float:
    return (job.expires_at or 0.0) - GRACE_SECONDS
