"""The events of one or several jobs, from now until all of them are final.

Each wake-up reads only the jobs that changed. Queue positions are polled, at a rate that is shared by all
streams of this process.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from api.http.sse import HEARTBEAT, RETRY, STORE_UNAVAILABLE, sse_event
from api.jobs.updates import JobUpdates, Subscription
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition
from shared.errors import NotFound, Unavailable
from shared.ports.jobs import JobStore
from shared.schemas.job import EventView, JobView

HEARTBEAT_SECONDS = 10.0
_POSITIONS_PER_SECOND = 100
"""How many queue positions this process reads per second, for all streams together."""


class StateEventView(EventView):
    """A change of a job's state."""

    id: str = Field(description="The job's id.")
    stage: str | None = Field(description="See `progress`. Null for a change that is not the latest.")
    queue_position: int | None = Field(description="The number of jobs before this one, while it is queued.")


class ProgressView(BaseModel):
    """What happens between two changes of state."""

    id: str = Field(description="The job's id.")
    stage: str = Field(
        description="uploading, waiting, paused, waiting_to_retry, listening, canceling or done.",
        examples=["listening"],
    )
    queue_position: int | None


class RemovedView(BaseModel):
    """A job that does not exist anymore."""

    id: str = Field(description="The job's id.")


def stage_of(job: Job, *, now: float, paused_queues: Collection[str] = ()) -> str:
    """The word that a page shows for what happens to the job."""
    match job.state:
        case JobState.AWAITING_UPLOAD:
            return "uploading"
        case JobState.QUEUED if job.queue in paused_queues:
            return "paused"
        case JobState.QUEUED:
            return "waiting_to_retry" if (job.due_at or 0.0) > now else "waiting"
        case JobState.RUNNING:
            return "canceling" if job.cancel_requested else "listening"
    return "done"


def transition_id(transition: StateTransition) -> str:
    """Identifies one line of a job's timeline, also after old lines were dropped."""
    return f"{transition.at:.6f}.{transition.attempt}.{transition.state}"


@dataclass(slots=True)
class WatchedJob:
    """How much of one job a client has received."""

    id: str
    last_sent: str = ""
    """The transition_id of the last line that was sent."""
    latest_only: bool = False
    """Whether the first event is the latest line of the timeline, not the whole timeline."""
    readable: bool = True
    """Whether the caller may read the job."""
    job: Job | None = None
    position: int | None = None
    progress: tuple[str, int | None] | None = None
    done: bool = False

    def unsent(self, job: Job) -> tuple[StateTransition, ...]:
        """The lines after the last one sent. All of them if that one is unknown."""
        for number, transition in enumerate(job.timeline):
            if transition_id(transition) == self.last_sent:
                return job.timeline[number + 1 :]
        return job.timeline[-1:] if self.latest_only and not self.last_sent else job.timeline


@dataclass(slots=True, kw_only=True)
class EventStream:
    """Streams the events of the watched jobs. Ends when all of them are final or removed."""

    watched: list[WatchedJob]
    jobs: JobStore
    updates: JobUpdates
    paused_queues: Callable[[], Collection[str]]
    state_event_id: Callable[[WatchedJob], str | None]
    """The SSE id of a `state` event."""
    end_event_id: Callable[[WatchedJob], str]
    """The SSE id of a `job` or `removed` event: the client has all of this job."""
    subscriber: str = ""
    """The API key or the address that the stream counts for."""
    _paused: Collection[str] = ()
    _last_write: float = field(default_factory=time.monotonic)

    async def run(self) -> AsyncIterator[bytes]:
        """The stream, in pieces."""
        yield RETRY
        with self.updates.subscribe(
            *(watched.id for watched in self.watched), subscriber=self.subscriber
        ) as subscription:
            unread: list[WatchedJob] = self.watched
            while True:
                try:
                    await run_in_threadpool(self._read, unread)
                except Unavailable:
                    yield STORE_UNAVAILABLE
                    await subscription.wait(HEARTBEAT_SECONDS)
                    continue
                for watched in unread:
                    for event in self._events(watched):
                        self._last_write = time.monotonic()
                        yield event
                if subscription.closing or all(watched.done for watched in self.watched):
                    return
                unread = await self._wait(subscription)
                if time.monotonic() - self._last_write >= HEARTBEAT_SECONDS:
                    self._last_write = time.monotonic()
                    yield HEARTBEAT

    def _read(self, watched: Iterable[WatchedJob]) -> None:
        for each in watched:
            if each.done:
                continue
            try:
                job = self.jobs.get(each.id) if each.readable else None
            except NotFound:
                job = None
            each.job = job
            queued = job is not None and job.state is JobState.QUEUED
            each.position = self.jobs.queue_position(job) if job and queued else None
        if any(each.position is not None for each in self.watched):
            self._paused = self.paused_queues()

    async def _wait(self, subscription: Subscription) -> list[WatchedJob]:
        """Wait for updates. Returns the jobs to read again: all of them when a heartbeat is due."""
        queued = [each for each in self.watched if not each.done and each.position is not None]
        pause = max(0.0, self._last_write + HEARTBEAT_SECONDS - time.monotonic())
        if queued:
            pause = min(pause, max(1.0, self.updates.watched_jobs / _POSITIONS_PER_SECOND))
        if await subscription.wait(pause):
            changed = subscription.take_changed()
            return [each for each in self.watched if changed is None or each.id in changed]
        if time.monotonic() - self._last_write >= HEARTBEAT_SECONDS:
            return self.watched
        return queued

    def _events(self, watched: WatchedJob) -> Iterator[bytes]:
        if watched.done:
            return
        job = watched.job
        if job is None:
            watched.done = True
            removed = RemovedView(id=watched.id)
            yield sse_event("removed", removed.model_dump_json(), id=self.end_event_id(watched))
            return
        progress = stage_of(job, now=store_time(), paused_queues=self._paused), watched.position
        for transition in watched.unsent(job):
            watched.last_sent = transition_id(transition)
            latest = transition is job.timeline[-1]
            if latest:
                watched.progress = progress
            view = StateEventView(
                id=job.id,
                stage=progress[0] if latest else None,
                queue_position=progress[1] if latest else None,
                **EventView.of(transition).model_dump(),
            )
            yield sse_event("state", view.model_dump_json(), id=self.state_event_id(watched))
        if watched.progress != progress:
            watched.progress = progress
            yield sse_event(
                "progress",
                ProgressView(id=job.id, stage=progress[0], queue_position=progress[1]).model_dump_json(),
            )
        if job.state.is_final:
            watched.done = True
            yield sse_event("job", JobView.of(job).model_dump_json(), id=self.end_event_id(watched))
