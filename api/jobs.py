"""Submit a recording, read its job. The whole public API on one screen."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from api.access import CurrentCaller
from api.admission import CurrentUpload
from api.body import FORM, RAW, Body, open_body
from api.errors import documented
from api.names import clean_filename
from api.rendering import wants_page
from api.schemas import JobView
from api.upload import receive, too_large
from api.wakeups import Wakeups
from shared.errors import BadRequest, Unavailable
from shared.job import AudioInput, Event, Job, JobState
from shared.logs import bind, bound_field, get_logger
from shared.ports import AudioStore, JobQueue, JobStore

_log = get_logger(__name__)

_LONGEST_WAIT_SECONDS = 30
_LOOK_AGAIN_SECONDS = 5.0
"""A wake-up may be lost with a connection to Redis, not more than so long."""
_LATEST_START_SECONDS = 24 * 3600
_LARGEST_FORM_BYTES = 1024 * 1024
"""What a form may have beside its file; the file itself is counted by `receive`, which knows better words."""

_FILE = {"type": "string", "format": "binary", "description": "The audio file."}
_SUBMIT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": _FILE,
                        "start_seconds": {
                            "type": "number",
                            "minimum": 0,
                            "description": "Where the window of 60 s begins.",
                        },
                    },
                }
            },
            "audio/*": {"schema": _FILE},
            RAW: {"schema": _FILE},
        },
    }
}

JobId = Annotated[str, Path(max_length=128, description="The job's id.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTerms:
    """What is promised to a new job."""

    max_upload_bytes: int
    upload_idle_seconds: float
    attempts: int
    keep_seconds: float


def jobs_router(
    *, jobs: JobStore, audio: AudioStore, queue: JobQueue, wakeups: Wakeups, terms: JobTerms
) -> APIRouter:
    """The routes under /v1/jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post(
        "",
        status_code=202,
        summary="Upload a recording",
        response_model=JobView,
        openapi_extra=_SUBMIT_BODY,
        max_body_size=terms.max_upload_bytes + _LARGEST_FORM_BYTES,
        responses={
            202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
            303: {"description": "To a browser's form: the page of the result."},
            **documented(400, 408, 413, 415, 422, 503),
        },
    )
    async def submit(
        request: Request,
        response: Response,
        caller: CurrentCaller,
        upload: CurrentUpload,
        filename: Annotated[
            str | None, Query(description="Name of a raw body.", examples=["song.mp3"])
        ] = None,
        start_seconds: Annotated[
            float | None,
            Query(ge=0, le=_LATEST_START_SECONDS, description="Where the window of 60 s begins."),
        ] = None,
    ) -> JobView | RedirectResponse:
        """Send the audio as the `file` field of a form, or as the body itself.

        It goes to storage as it arrives. The answer comes as soon as the job is recorded: follow `Location`.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > terms.max_upload_bytes + _form_allowance(request):
            raise too_large(terms.max_upload_bytes)
        body = await open_body(request, idle_seconds=terms.upload_idle_seconds)
        job_id = secrets.token_urlsafe(16)
        bind(job_id=job_id)
        received = await receive(
            upload.counted(body.chunks),
            key=job_id,
            media_type=body.media_type,
            audio=audio,
            max_bytes=terms.max_upload_bytes,
        )
        try:
            job = _new_job(
                job_id,
                input=AudioInput(
                    filename=clean_filename(body.filename or filename),
                    media_type=body.media_type,
                    size_bytes=received.size_bytes,
                    sha256=received.sha256,
                ),
                start_seconds=_start(body, start_seconds),
                owner=caller.key_id,
                terms=terms,
            )
            await run_in_threadpool(jobs.add, job)
        except BaseException:
            await asyncio.shield(run_in_threadpool(_take_back, job_id, jobs, audio))
            raise
        await upload.count_job(job.id)
        await run_in_threadpool(_ring, job, queue)
        _log.info("job_accepted", filename=job.input.filename, bytes=received.size_bytes)
        if wants_page(request):
            return RedirectResponse(f"/jobs/{job.id}", status_code=303)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        response.headers["Retry-After"] = "1"
        return JobView.of(job)

    @router.get(
        "/{job_id}",
        summary="Read a job",
        responses={
            200: {"headers": {name: {"schema": {"type": "string"}} for name in ("ETag", "Retry-After")}},
            304: {"description": "Nothing has changed since the given ETag."},
            **documented(404, 422, 503),
        },
        response_model=JobView,
    )
    async def read(
        job_id: JobId,
        caller: CurrentCaller,
        wait: Annotated[
            float,
            Query(ge=0, le=_LONGEST_WAIT_SECONDS, description="Answer when final, or after so many seconds."),
        ] = 0,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Where the job stands; with `wait`, as soon as it is done."""
        caller.check_sees(await run_in_threadpool(jobs.get, job_id))
        job = await _until_final(job_id, jobs=jobs, wakeups=wakeups, wait_seconds=wait)
        position = await run_in_threadpool(jobs.position, job) if job.state is JobState.QUEUED else None
        content = JobView.of(job, queue_position=position).model_dump_json().encode()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
        if not job.state.is_final:
            headers["Retry-After"] = str(min(30, 1 + (position or 0)))
        if if_none_match is not None and headers["ETag"] in if_none_match:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)

    return router


async def _until_final(job_id: str, *, jobs: JobStore, wakeups: Wakeups, wait_seconds: float) -> Job:
    deadline = time.monotonic() + wait_seconds
    with wakeups.listen(job_id) as listener:
        while True:
            listener.expect()
            job = await run_in_threadpool(jobs.get, job_id)
            left = deadline - time.monotonic()
            if job.state.is_final or left <= 0 or listener.ending:
                return job
            await listener.wait(min(_LOOK_AGAIN_SECONDS, left))


def _new_job(
    job_id: str, *, input: AudioInput, start_seconds: float | None, owner: str | None, terms: JobTerms
) -> Job:
    now = time.time()
    return Job(
        id=job_id,
        state=JobState.QUEUED,
        queue="interactive",
        created_at=now,
        queued_at=now,
        due_at=now,
        input=input,
        start_seconds=start_seconds,
        owner=owner,
        request_id=bound_field("request_id"),
        traceparent=bound_field("traceparent"),
        attempts_allowed=terms.attempts,
        keep_seconds=terms.keep_seconds,
        timeline=(Event(at=now, state=JobState.QUEUED, attempt=0),),
    )


def _start(body: Body, start_seconds: float | None) -> float | None:
    given = body.fields.get("start_seconds", "").strip()
    if not given:  # a page's form sends the field also when it is empty
        return start_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LATEST_START_SECONDS:
        raise BadRequest(f"start_seconds must be a number from 0 to {_LATEST_START_SECONDS}.")
    return seconds


def _form_allowance(request: Request) -> int:
    """A form is longer than its file; what it adds is counted precisely later."""
    return 64 * 1024 if request.headers.get("content-type", "").startswith(FORM) else 0


def _take_back(job_id: str, jobs: JobStore, audio: AudioStore) -> None:
    """Nothing half-done stays, as far as the servers still answer; the rescuer removes the rest."""
    for remove in (jobs.remove, audio.delete):
        try:
            remove(job_id)
        except Unavailable as error:
            _log.warning("not_taken_back", job_id=job_id, why=error.message)


def _ring(job: Job, queue: JobQueue) -> None:
    try:
        queue.submit(job.id, queue=job.queue)
    except Unavailable as error:
        # the record stands, so the job is accepted: the rescuer rings when the queue is back
        _log.warning("not_rung", job_id=job.id, why=error.message)
