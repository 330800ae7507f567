"""From the first byte of an upload to a recorded job that workers know of; or to nothing at all."""

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.access.authentication import Caller
from api.access.upload_quota import UploadSlot
from api.config import CheckUrl, JobLimits
from api.http.slow_clients import MinRateTimeout
from api.jobs.schemas import accepted_view
from api.jobs.service import enqueue
from api.uploads.active_uploads import ActiveUpload, ActiveUploads
from api.uploads.body import FORM, Body, open_body, refuse_media_type
from api.uploads.buffer_pool import BufferPool
from api.uploads.filenames import clean_filename
from api.uploads.idempotency import Idempotency, IdempotentRequest, fingerprint
from api.uploads.receiver import Received, Receiver, Target, declared_sha256, too_large
from api.uploads.report_cache import ReportCache
from api.webhooks.callback import CallbackWish
from shared.domain.job import AudioInput, Callback, Job
from shared.domain.job_state import JobState, StateTransition
from shared.errors import BadRequest, IdempotencyKeyReused, NotFound, Unavailable
from shared.observability.logs import bind_log_context, context_field, get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore
from shared.ports.uploads import UploadInfo

_log = get_logger(__name__)

LATEST_START_SECONDS = 24 * 3600
_FORM_ALLOWANCE_BYTES = 64 * 1024


class QueueName(StrEnum):
    """Who waits for the answer."""

    INTERACTIVE = "interactive"
    """A person: goes before every batch."""
    BATCH = "batch"
    """Nobody right now: ten thousand of these delay no person."""


QUEUE = "`interactive`: somebody waits for it. `batch`: done when nobody does."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the query says of a new job."""

    filename: str | None = None
    start_seconds: float | None = None
    queue: QueueName | None = None
    callback_url: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadService:
    """Makes jobs of uploads."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    terms: JobLimits
    budget: BufferPool
    in_flight: ActiveUploads
    idempotency: Idempotency
    known: ReportCache
    check_url: CheckUrl

    async def upload(self, request: Request, caller: Caller, wish: Wish, *, slot: UploadSlot) -> Response:
        """Take the request's body as a recording. Refuses what it can before the first byte is asked for."""
        declared = _declared_bytes(request)
        slack = _FORM_ALLOWANCE_BYTES if request.headers.get("content-type", "").startswith(FORM) else 0
        if declared is not None and declared > self.terms.max_upload_bytes + slack:
            raise too_large(self.terms.max_upload_bytes)
        refuse_media_type(request)
        pace = self.pace()
        async with (
            self.idempotency.once(request, caller) as once,
            Receiver(budget=self.budget, pace=pace, terms=self.terms) as receiver,
        ):
            body = await open_body(request, pace=pace)
            body.chunks = slot.counted(body.chunks)
            if once.answered or (once.taken_over and await self._exists(once.subject)):
                return await self._again(once, body, receiver, caller=caller, wish=wish)
            callback = await self.callback(body, wish, caller)
            bind_log_context(job_id=once.subject)
            now = time.time()
            info = UploadInfo(
                id=once.subject,
                started_at=now,
                seen_at=now,
                declared_bytes=declared,
                owner=caller.key_id,
                filename=clean_filename(body.filename or wish.filename),
            )
            async with self.in_flight.registered(info) as upload:
                job = await self._store(
                    request, body, receiver, upload, wish=wish, caller=caller, callback=callback
                )
            answer = accepted(job)
            await once.answer(_whole(once, job), answer)
        if not job.state.is_final:
            await slot.count_job(job.id)
            await run_in_threadpool(self.enqueue, job)
        _log.info("job_accepted", filename=job.input.filename, bytes=job.input.size_bytes, cached=job.cached)
        return answer

    def pace(self) -> MinRateTimeout:
        """How long to wait for one client."""
        return MinRateTimeout(
            idle_seconds=self.terms.upload_idle_seconds,
            least_bytes_per_second=self.terms.upload_least_bytes_per_second,
            busy=lambda: self.budget.contended,
        )

    def new_job(
        self,
        job_id: str,
        *,
        input: AudioInput,
        start_seconds: float | None,
        caller: Caller,
        queue: QueueName = QueueName.INTERACTIVE,
        expires_at: float | None = None,
    ) -> Job:
        """A job that waits for a worker, or until *expires_at* for its upload."""
        now = time.time()
        awaiting = expires_at is not None
        state = JobState.AWAITING_UPLOAD if awaiting else JobState.QUEUED
        return Job(
            id=job_id,
            state=state,
            queue=queue.value,
            created_at=now,
            queued_at=None if awaiting else now,
            due_at=None if awaiting else now,
            expires_at=expires_at,
            has_audio=not awaiting,
            input=input,
            start_seconds=start_seconds,
            owner=caller.key_id,
            request_id=context_field("request_id"),
            traceparent=context_field("traceparent"),
            attempts_allowed=self.terms.attempts,
            keep_seconds=self.terms.keep_seconds,
            timeline=(StateTransition(at=now, state=state, attempt=0),),
        )

    def enqueue(self, job: Job) -> None:
        """Tell the workers."""
        enqueue(job, self.queue)

    async def callback(self, body: Body, wish: Wish, caller: Caller) -> Callback | None:
        """What is asked for as far as the body was read, judged. Raises AddressRefused, BadRequest."""
        return await run_in_threadpool(_callback_wish(body, wish).grant, caller, check_url=self.check_url)

    async def _store(
        self,
        request: Request,
        body: Body,
        receiver: Receiver,
        upload: ActiveUpload,
        *,
        wish: Wish,
        caller: Caller,
        callback: Callback | None,
    ) -> Job:
        promised = declared_sha256(request.headers.get("content-digest"))
        asked = _callback_wish(body, wish)
        job: Job | None = None

        async def check(received: Received) -> bool:
            nonlocal job
            _require_digest(promised, body, received)
            new = self._job(upload.info.id, body, received, wish=wish, caller=caller)
            job = await self.known.answered(new)
            return job.has_audio

        await receiver.receive(
            body.chunks,
            target=Target(key=upload.info.id, media_type=body.media_type, audio=self.audio),
            check=check,
            progress=upload.progress,
        )
        assert job is not None  # noqa: S101 - check ran, or receive raised
        try:
            if _callback_wish(body, wish) != asked:  # its fields stood after the file
                callback = await self.callback(body, wish, caller)
            job = replace(job, callback=callback)
            await run_in_threadpool(self.jobs.add, job)
        except BaseException:
            await asyncio.shield(run_in_threadpool(self._take_back, job.id))
            raise
        return job

    async def _again(
        self, once: IdempotentRequest, body: Body, receiver: Receiver, *, wish: Wish, caller: Caller
    ) -> Response:
        """The second of two requests: read to compare, store nothing."""
        received = await receiver.digest(body.chunks)
        job = self._job(once.subject, body, received, wish=wish, caller=caller)
        job = replace(job, callback=await self.callback(body, wish, caller))
        whole = _whole(once, job)
        if once.answered:
            return once.replay(whole)
        there = await run_in_threadpool(self.jobs.get, once.subject)
        if _whole(once, there) != whole:
            raise IdempotencyKeyReused("This Idempotency-Key came with another upload before; use a new one.")
        return await once.answer(whole, accepted(there))

    def _job(self, job_id: str, body: Body, received: Received, *, wish: Wish, caller: Caller) -> Job:
        start = start_of(body.fields.get("start_seconds"))
        return self.new_job(
            job_id,
            input=AudioInput(
                filename=clean_filename(body.filename or wish.filename),
                media_type=body.media_type,
                size_bytes=received.size_bytes,
                sha256=received.sha256,
            ),
            start_seconds=wish.start_seconds if start is None else start,
            caller=caller,
            queue=queue_of(body.fields.get("queue")) or wish.queue or QueueName.INTERACTIVE,
        )

    async def _exists(self, job_id: str) -> bool:
        try:
            await run_in_threadpool(self.jobs.get, job_id)
        except NotFound:
            return False
        return True

    def _take_back(self, job_id: str) -> None:
        """In this order: audio without a record is the rescuer's, a record without audio would be a lie."""
        try:
            self.jobs.remove(job_id)
            self.audio.delete(job_id)
        except Unavailable as error:
            _log.warning("not_taken_back", job_id=job_id, why=error.message)


def accepted(job: Job, *, with_secret: bool = True) -> JSONResponse:
    """202: follow Location. The secret of its callback is for the first answer alone."""
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "0" if job.state.is_final else "1"}
    return JSONResponse(accepted_view(job, with_secret=with_secret).model_dump(mode="json"), 202, headers)


def _declared_bytes(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None


def _whole(once: IdempotentRequest, job: Job) -> str:
    told = (job.callback.url, *job.callback.events) if job.callback else ()
    return fingerprint(once.head, *asdict(job.input).values(), job.start_seconds, job.queue, *told)


def _callback_wish(body: Body, wish: Wish) -> CallbackWish:
    return CallbackWish.of(body.fields, url=wish.callback_url, events=wish.events)


def _require_digest(promised: str | None, body: Body, received: Received) -> None:
    actual = body.form_digest.hexdigest() if body.form_digest else received.sha256
    if promised is not None and promised != actual:
        raise BadRequest(
            "What arrived is not what Content-Digest promises; send the file again.", code="digest_mismatch"
        )


def start_of(given: str | None) -> float | None:
    """Where the window begins, of a form's field; None where it says nothing. Raises BadRequest."""
    if not given or not given.strip():  # a page's form sends the field also when it is empty
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LATEST_START_SECONDS:
        raise BadRequest(f"start_seconds must be a number from 0 to {LATEST_START_SECONDS}.")
    return seconds


def queue_of(given: str | None) -> QueueName | None:
    """The queue that a form's field names; None where it says nothing. Raises BadRequest."""
    if not given or not given.strip():
        return None
    try:
        return QueueName(given.strip())
    except ValueError:
        raise BadRequest("queue must be interactive or batch.") from None
