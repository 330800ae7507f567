"""GET /v1/jobs/{id}/events: the life of one job as Server-Sent Events, from its beginning to its end.

state      one line of the timeline; the newest comes with the stage and, while queued, the position
progress   stage and position, whenever one of them has changed without a new line
job        the whole job, once it is final; then the stream ends

Each `state` and the `job` carry an id: after a lost connection, `Last-Event-ID` replays what came since.
"""

import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.access.authentication import CurrentCaller
from api.http.problems import documented
from api.http.schemas import JobId
from api.jobs.updates import JobUpdates, Subscription
from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition
from shared.errors import NotFound, Unavailable
from shared.ports.jobs import JobStore
from shared.schemas.job import EventView, JobView

EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx, don't hold back
HEARTBEAT_SECONDS = 10.0
_MOST_LISTENERS = 2000
_LOOKS_PER_SECOND = 100
"""How often this process asks for queue positions, for all its listeners together."""
_END = ".end"


class StateEventView(EventView):
    """One change of state, as it is streamed."""

    id: str = Field(description="The job's id.")
    stage: str | None = Field(description="See `progress`; null for a line of the past.")
    queue_position: int | None = Field(description="Jobs before this one, while it is queued.")


class ProgressView(BaseModel):
    """What is going on between two lines of the timeline."""

    stage: str = Field(
        description="uploading, waiting, waiting_to_retry, listening, canceling or done.",
        examples=["listening"],
    )
    queue_position: int | None


def stage(job: Job, *, now: float) -> str:
    """What is going on, in one word that a page can show."""
    match job.state:
        case JobState.AWAITING_UPLOAD:
            return "uploading"
        case JobState.QUEUED:
            return "waiting_to_retry" if (job.due_at or 0.0) > now else "waiting"
        case JobState.RUNNING:
            return "canceling" if job.cancel_requested else "listening"
    return "done"


def events_router(*, jobs: JobStore, wakeups: JobUpdates) -> APIRouter:
    """The one route."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.get(
        "/{job_id}/events",
        summary="Watch a job",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Events until the job is final.", "content": {EVENT_STREAM: {}}},
            204: {"description": "All events were received already: don't reconnect."},
            **documented(404, 422, 503),
        },
    )
    async def events(
        job_id: JobId,
        caller: CurrentCaller,
        last_event_id: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Server-Sent Events: `state`, `progress` and, at the end, the whole `job`."""
        job = await run_in_threadpool(jobs.get, job_id)
        caller.check_sees(job)
        if job.state.is_final and last_event_id == event_id(job.timeline[-1]) + _END:
            return Response(status_code=204)
        if wakeups.count >= _MOST_LISTENERS:
            raise Unavailable("Too many clients watch their jobs; ask for the job itself every few seconds.")
        stream = _stream(job_id, last_event_id, jobs=jobs, wakeups=wakeups)
        return StreamingResponse(stream, media_type=EVENT_STREAM, headers=HEADERS)

    return router


def event_id(event: StateTransition) -> str:
    """Names one line of a job's timeline, also after the timeline was shortened."""
    return f"{event.at:.6f}.{event.attempt}.{event.state}"


def message(name: str, data: str, *, id: str | None = None) -> str:
    """One event on the wire. `data` holds no newline: it is JSON."""
    return (f"id: {id}\n" if id else "") + f"event: {name}\ndata: {data}\n\n"


async def _stream(
    job_id: str, last_event_id: str | None, *, jobs: JobStore, wakeups: JobUpdates
) -> AsyncIterator[str]:
    seen = (last_event_id or "").removesuffix(_END)
    told: tuple[str, int | None] | None = None
    yield "retry: 2000\n\n"
    with wakeups.listen(job_id) as listener:
        while True:
            listener.expect()
            try:
                job = await run_in_threadpool(jobs.get, job_id)
                position = await _position(job, jobs)
            except NotFound:
                yield message("removed", "{}")
                return
            except Unavailable:
                yield ": the job store does not answer\n\n"
                await listener.wait(HEARTBEAT_SECONDS)
                continue
            now = stage(job, now=time.time())
            for event in _since(job, seen):
                seen = event_id(event)
                latest = event is job.timeline[-1]
                view = _view(job, event, stage=now if latest else None, position=position if latest else None)
                yield message("state", view.model_dump_json(), id=seen)
                told = (now, position)
            if told != (now, position):
                told = (now, position)
                progress = ProgressView(stage=now, queue_position=position)
                yield message("progress", progress.model_dump_json())
            if job.state.is_final:
                yield message("job", JobView.of(job).model_dump_json(), id=seen + _END)
                return
            if listener.ending:
                return
            async for beat in _beats(job, position, listener, jobs=jobs, wakeups=wakeups):
                yield beat


async def _beats(
    job: Job, position: int | None, listener: Subscription, *, jobs: JobStore, wakeups: JobUpdates
) -> AsyncIterator[str]:
    """Wait for news of this job, or that its position has changed; one heartbeat after a long silence."""
    silent_since = time.monotonic()
    while (silence := time.monotonic() - silent_since) < HEARTBEAT_SECONDS:
        pause = HEARTBEAT_SECONDS - silence
        if position is not None:
            pause = min(pause, max(1.0, wakeups.count / _LOOKS_PER_SECOND))
        if await listener.wait(pause):
            return
        try:
            if position is not None and await _position(job, jobs) != position:
                return
        except Unavailable:
            continue
    yield ": still here\n\n"


async def _position(job: Job, jobs: JobStore) -> int | None:
    return await run_in_threadpool(jobs.queue_position, job) if job.state is JobState.QUEUED else None


def _since(job: Job, seen: str) -> tuple[StateTransition, ...]:
    """The lines after the one seen; all of them where that one is unknown."""
    for number, event in enumerate(job.timeline):
        if event_id(event) == seen:
            return job.timeline[number + 1 :]
    return job.timeline


def _view(job: Job, event: StateTransition, *, stage: str | None, position: int | None) -> StateEventView:
    line = EventView.of(event).model_dump()
    return StateEventView(id=job.id, stage=stage, queue_position=position, **line)
