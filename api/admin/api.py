"""The dashboard as JSON under /admin/api: everything that its pages show and do."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AliasChoices, BaseModel, Field

from api.admin.auth.authentication import CurrentUser
from api.admin.bulk_actions import ProvidedBulkActions
from api.admin.job_filter import CurrentFilter
from api.admin.job_selection import BulkAction, select_jobs
from api.admin.operations import ProvidedOperations
from api.admin.overview import ProvidedOverview
from api.admin.schemas import DEPRECATED, AuditEntryView, HistoryView, OverviewView
from api.http.problems import documented
from api.http.provided import provided
from api.http.sse import EVENT_STREAM, HEADERS, RETRY, sse_event
from api.jobs.schemas import JobPageView
from api.jobs.updates import JobUpdates
from shared.domain.history import TIME_RANGES
from shared.ports.admin import AuditQuery
from shared.ports.workers import WorkerCommand
from shared.schemas.job import JobView, View

MAX_STREAM_SECONDS = 600.0
"""A stream ends after this time: the client that reconnects is authenticated again."""
_TICK_SECONDS = 5.0
_MIN_INTERVAL_SECONDS = 1.0
"""However much happens, a page redraws itself no more often than this."""
_PROBLEMS = documented(401, 403, 404, 409, 422, 503)


class BulkActionRequest(BaseModel):
    """An action on some jobs."""

    action: BulkAction = Field(validation_alias=AliasChoices("action", "act"))
    ids: list[str] = Field(default=[], max_length=1000, description="Either these jobs…")
    matching: bool = Field(False, description="…or all that match the filter in the query string.")


class RefusedView(View):
    """A job that did not change."""

    id: str
    reason: str
    why: str = Field(description="The old name of `reason`.", json_schema_extra=DEPRECATED)


class BulkResultView(View):
    """The result of an action."""

    done: int
    refused: list[RefusedView]
    has_more: bool = Field(description="More jobs match than one request changes. Repeat the request.")
    left: bool = Field(description="The old name of `has_more`.", json_schema_extra=DEPRECATED)


overview_router = APIRouter(prefix="/admin/api", tags=["dashboard"], responses=_PROBLEMS)
"""The routes that only read."""


@overview_router.get("/now", summary="Show the service at a glance")
def show_overview(overview: ProvidedOverview, _: CurrentUser) -> OverviewView:
    """The queues, workers, uploads, and warnings of this moment."""
    return overview.now()


@overview_router.get("/history", summary="Show the outcomes of all jobs over time")
def show_history(
    overview: ProvidedOverview,
    _: CurrentUser,
    span: Annotated[Literal["hour", "day", "week"], Query()] = "hour",
) -> HistoryView:
    """The counts of every state, in buckets of one time range."""
    return overview.over_time(next(one for one in TIME_RANGES if one.name == span))


@overview_router.get("/jobs", summary="Find jobs", responses=documented(400))
def list_jobs(
    overview: ProvidedOverview,
    _: CurrentUser,
    filter: CurrentFilter,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPageView:
    """Jobs of all callers, newest first, without their reports."""
    return JobPageView.of(overview.list(filter.query(cursor=cursor, limit=limit), text=filter.q))


@overview_router.get("/jobs/{job_id}", summary="Read any job")
def read_job(
    overview: ProvidedOverview, _: CurrentUser, job_id: Annotated[str, Path(max_length=128)]
) -> JobView:
    """Any caller's job, with its report."""
    return JobView.of(overview.jobs.get(job_id))


@overview_router.get("/audit", summary="Read the audit log")
def read_audit_log(
    overview: ProvidedOverview, _: CurrentUser, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[AuditEntryView]:
    """Newest first."""
    return [AuditEntryView.of(entry) for entry in overview.audit.page(AuditQuery(limit=limit)).entries]


@overview_router.get(
    "/events",
    summary="Stream change notifications",
    response_class=StreamingResponse,
    responses={200: {"content": {EVENT_STREAM: {}}}},
)
async def stream_changes(
    updates: Annotated[JobUpdates, provided(JobUpdates)], _: CurrentUser
) -> StreamingResponse:
    """Server-Sent Events without content: `changed`, at most once a second."""
    return StreamingResponse(_ticks(updates), media_type=EVENT_STREAM, headers=HEADERS)


operations_router = APIRouter(prefix="/admin/api", tags=["dashboard"], responses=_PROBLEMS)
"""The routes that change something."""


@operations_router.post(
    "/acts",
    deprecated=True,
    summary="The old name of /admin/api/bulk-actions",
    operation_id="adminRunActs",
)
@operations_router.post("/bulk-actions", summary="Retry, cancel or delete jobs", responses=documented(400))
def run_bulk_action(
    bulk_actions: ProvidedBulkActions,
    user: CurrentUser,
    body: BulkActionRequest,
    filter: CurrentFilter,
) -> BulkResultView:
    """Change jobs by their ids, or all that match a filter, at most a thousand at a time."""
    selection = select_jobs(body.ids, filter.query() if body.matching else None, filter.q)
    result = bulk_actions.run(body.action, selection, user=user)
    refused = [RefusedView(id=job_id, reason=reason, why=reason) for job_id, reason in result.refused]
    return BulkResultView(done=result.done, refused=refused, has_more=result.has_more, left=result.has_more)


@operations_router.post("/queues/{queue}/{action}", status_code=204, summary="Pause or resume a queue")
def change_queue(
    operations: ProvidedOperations,
    user: CurrentUser,
    queue: Annotated[str, Path(max_length=100)],
    action: Literal["pause", "resume"],
) -> Response:
    """Running jobs continue; no new ones start while a queue is paused."""
    if action == "pause":
        operations.pause(queue, user=user)
    else:
        operations.resume(queue, user=user)
    return Response(status_code=204)


@operations_router.post("/workers/{worker}/{action}", status_code=204, summary="Drain or restart a worker")
def command_worker(
    operations: ProvidedOperations,
    user: CurrentUser,
    worker: Annotated[str, Path(max_length=200)],
    action: Literal["drain", "restart", "resume"],
) -> Response:
    """`drain`: finish running jobs and start no others until `resume`. `restart`: finish them and exit;
    the supervisor starts the worker again.
    """
    command = None if action == "resume" else WorkerCommand(action)
    operations.send_command(worker, command, user=user)
    return Response(status_code=204)


@operations_router.post("/webhooks/{delivery_id}/redeliver", status_code=204, summary="Redeliver a webhook")
def redeliver(
    operations: ProvidedOperations, user: CurrentUser, delivery_id: Annotated[str, Path(max_length=128)]
) -> Response:
    """Send the same message again, with the same id."""
    operations.redeliver(delivery_id, user=user)
    return Response(status_code=204)


async def _ticks(updates: JobUpdates) -> AsyncIterator[bytes]:
    yield RETRY
    ends_at = time.monotonic() + MAX_STREAM_SECONDS
    with updates.subscribe() as subscription:
        while not subscription.closing and time.monotonic() < ends_at:
            subscription.clear()
            changed = await subscription.wait(_TICK_SECONDS)
            yield sse_event("changed" if changed else "tick", "{}")
            await asyncio.sleep(_MIN_INTERVAL_SECONDS)
