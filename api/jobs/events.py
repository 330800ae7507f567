"""Server-Sent Events: GET /v1/jobs/{id}/events for one job, GET /v1/events?job=… for several.

state      a change of a job's state, with its stage and, while it is queued, its position
progress   a new stage or position without a change of state
job        the whole job, once it is final
removed    the job was deleted or has expired, or it does not belong to the caller

The stream ends when every job is final or removed. After a lost connection, `Last-Event-ID` resumes it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from api.access.authentication import Caller, CurrentCaller
from api.http.problems import documented
from api.http.provided import provided
from api.http.schemas import JobId
from api.http.sse import EVENT_STREAM, HEADERS
from api.jobs.event_stream import EventStream, WatchedJob, transition_id
from api.jobs.updates import JobUpdates
from shared.errors import LimitReached, NotFound, Unavailable
from shared.ports.jobs import JobStore
from shared.ports.workers import WorkerControl

MAX_JOBS_PER_STREAM = 100
_MAX_WATCHED_JOBS = 2000
_MAX_WATCHED_JOBS_PER_CALLER = 300
_END = ".end"

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events until every job is final.", "content": {EVENT_STREAM: {}}},
    204: {"description": "The client has received all events. Don't reconnect."},
}


Jobs = Annotated[JobStore, provided(JobStore)]
Updates = Annotated[JobUpdates, provided(JobUpdates)]
Control = Annotated[WorkerControl, provided(WorkerControl)]

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/events",
    summary="Watch a job",
    response_class=StreamingResponse,
    responses={**_RESPONSES, **documented(404, 422, 429, 503)},
)
def watch_job(
    job_id: JobId,
    caller: CurrentCaller,
    jobs: Jobs,
    updates: Updates,
    control: Control,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Server-Sent Events: `state`, `progress` and, at the end, the whole `job`."""
    job = jobs.get(job_id)
    caller.check_can_read(job)
    if job.state.is_final and last_event_id == transition_id(job.timeline[-1]) + _END:
        return Response(status_code=204)
    _check_capacity(updates, caller.subject, jobs=1)
    watched = WatchedJob(job_id, last_sent=(last_event_id or "").removesuffix(_END))
    return _respond(
        EventStream(
            watched=[watched],
            jobs=jobs,
            updates=updates,
            subscriber=caller.subject,
            paused_queues=control.paused,
            state_event_id=lambda watched: watched.last_sent,
            end_event_id=lambda watched: watched.last_sent + _END,
        )
    )


@router.get(
    "/events",
    summary="Watch several jobs",
    response_class=StreamingResponse,
    responses={**_RESPONSES, **documented(422, 429, 503)},
)
def watch_jobs(
    caller: CurrentCaller,
    jobs: Jobs,
    updates: Updates,
    control: Control,
    job: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MAX_JOBS_PER_STREAM,
            description="A job's id. Repeat it for each job.",
        ),
    ],
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Server-Sent Events of several jobs over one connection, each with the job's `id`.

    The first `state` of a job is its latest one. A job that you may not read is `removed`.
    """
    ids = list(dict.fromkeys(job))
    done = _parse_done(last_event_id, count=len(ids))
    if all(done):
        return Response(status_code=204)
    _check_capacity(updates, caller.subject, jobs=len(ids))
    watched = [
        WatchedJob(each, latest_only=True, done=is_done, readable=_may_read(each, caller, jobs))
        for each, is_done in zip(ids, done, strict=True)
    ]
    return _respond(
        EventStream(
            watched=watched,
            jobs=jobs,
            updates=updates,
            subscriber=caller.subject,
            paused_queues=control.paused,
            state_event_id=lambda _: None,
            end_event_id=lambda _: _done_id(watched),
        )
    )


def _respond(stream: EventStream) -> Response:
    return StreamingResponse(stream.run(), media_type=EVENT_STREAM, headers=HEADERS)


def _check_capacity(updates: JobUpdates, subscriber: str, *, jobs: int) -> None:
    if updates.watched_by(subscriber) + jobs > _MAX_WATCHED_JOBS_PER_CALLER:
        raise LimitReached(
            f"You watch {updates.watched_by(subscriber)} jobs (limit {_MAX_WATCHED_JOBS_PER_CALLER}). "
            "Close some streams, or poll the jobs every few seconds.",
            code="too_many_streams",
            retry_after_seconds=5,
        )
    if updates.watched_jobs + jobs > _MAX_WATCHED_JOBS:
        raise Unavailable("Too many clients watch their jobs. Poll the job every few seconds instead.")


def _may_read(job_id: str, caller: Caller, jobs: JobStore) -> bool:
    try:
        caller.check_can_read(jobs.get(job_id))
    except NotFound:
        return False
    return True


def _done_id(watched: list[WatchedJob]) -> str:
    """Which jobs the client has received to their end: one bit for each, in the order of the request."""
    return f"{sum(1 << number for number, each in enumerate(watched) if each.done):x}"


def _parse_done(event_id: str | None, *, count: int) -> list[bool]:
    try:
        bits = int(event_id or "0", 16)
    except ValueError:
        bits = 0
    return [bool(bits >> number & 1) for number in range(count)]
