"""Submit a recording, read its job. The whole public API on one screen."""

import time
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from api.access import CurrentCaller
from api.admission import CurrentShare, CurrentUpload
from api.body import FORM, RAW
from api.callback import CALLBACK_URL, EVENTS, FORM_FIELDS
from api.errors import documented
from api.forecast import Forecast
from api.idempotency import IDEMPOTENCY_KEY
from api.intake import Intake
from api.json_body import JSON, is_json, read_json
from api.polling import POLLED, polled
from api.rendering import wants_page
from api.schemas import JobView
from api.source_url import JobSource
from api.submit import LATEST_START_SECONDS, QUEUE, QueueName, Wish
from api.upload import CONTENT_DIGEST, COUNTED_BY_US
from api.wakeups import Wakeups
from api.webhook_acts import WebhookActs
from api.webhook_views import AcceptedView, JobDetailView
from shared.job import Job
from shared.ports import JobStore
from shared.timeline import JobState

_LONGEST_WAIT_SECONDS = 30
_LOOK_AGAIN_SECONDS = 5.0
"""A wake-up may be lost with a connection to Redis, not more than so long."""


_FILE = {"type": "string", "format": "binary", "description": "The audio file."}
_SUBMIT = {
    "parameters": [IDEMPOTENCY_KEY, CONTENT_DIGEST],
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
                        "queue": {
                            "type": "string",
                            "enum": [name.value for name in QueueName],
                            "default": "interactive",
                            "description": QUEUE,
                        },
                        **FORM_FIELDS,
                    },
                }
            },
            "audio/*": {"schema": _FILE},
            RAW: {"schema": _FILE},
            JSON: {"schema": JobSource.model_json_schema()},
        },
    },
}

JobId = Annotated[str, Path(max_length=128, description="The job's id.")]


def jobs_router(
    intake: Intake, *, jobs: JobStore, wakeups: Wakeups, webhooks: WebhookActs, forecast: Forecast
) -> APIRouter:
    """The routes under /v1/jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post(
        "",
        status_code=202,
        summary="Upload a recording",
        openapi_extra=_SUBMIT,
        response_model=AcceptedView,
        max_body_size=COUNTED_BY_US,
        responses={
            202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
            303: {"description": "To a browser's form: the page of the result."},
            **documented(400, 404, 408, 409, 413, 415, 422, 503),
        },
    )
    async def submit(
        request: Request,
        caller: CurrentCaller,
        slot: CurrentUpload,
        share: CurrentShare,
        filename: Annotated[
            str | None, Query(description="Name of a raw body.", examples=["song.mp3"])
        ] = None,
        start_seconds: Annotated[
            float | None,
            Query(ge=0, le=LATEST_START_SECONDS, description="Where the window of 60 s begins."),
        ] = None,
        queue: Annotated[QueueName | None, Query(description=QUEUE)] = None,
        callback_url: Annotated[str | None, Query(description=CALLBACK_URL)] = None,
        events: Annotated[list[str] | None, Query(description=EVENTS)] = None,
    ) -> Response:
        """Send the audio as the `file` field of a form, or as the body itself; or name it in JSON: an
        `upload_id`, or a `source_url` that a worker fetches it from.

        What is sent goes to storage as it arrives. The answer comes as soon as the job is recorded: follow
        `Location`.
        """
        wish = Wish(
            filename=filename,
            start_seconds=start_seconds,
            queue=queue,
            callback_url=callback_url,
            events=tuple(events or ()),
        )
        if is_json(request):
            source, raw = await read_json(request, JobSource, pace=intake.submissions.pace())
            source = source.beside(wish)
            if source.upload_id is not None:
                return await intake.direct.submit(source.upload_id, caller, source)
            return await intake.addressed.submit(request, caller, source, raw, share)
        answer = await intake.submissions.upload(request, caller, wish, slot=slot)
        if wants_page(request):
            return RedirectResponse("/jobs/" + answer.headers["location"].rsplit("/", 1)[-1], status_code=303)
        return answer

    @router.get(
        "/{job_id}",
        summary="Read a job",
        responses={**POLLED, **documented(404, 422, 503)},
        response_model=JobDetailView,
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
        wait_seconds = await run_in_threadpool(forecast.wait_seconds, job, position)
        view = JobView.of(job, queue_position=position, queue_wait_seconds=wait_seconds)
        told = await run_in_threadpool(webhooks.of_job, job)
        again = None if job.state.is_final else 1 + (wait_seconds or 0)
        return polled(JobDetailView.beside(view, told), if_none_match, again_seconds=again)

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
