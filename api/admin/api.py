"""The dashboard for programs: everything that its pages show and do, as JSON under /admin/api."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.admin.authentication import AdminUser, Recognize
from api.admin.bulk_actions import BulkAction, BulkActions, selection_of
from api.admin.job_filter import JobFilter, job_filter
from api.admin.overview import HistoryView, NowView
from api.http.problems import documented
from api.http.sse import EVENT_STREAM, HEADERS, RETRY, sse_event
from api.jobs.schemas import JobPageView
from api.jobs.updates import JobUpdates
from shared.domain.history import TIME_RANGES
from shared.ports.workers import WorkerCommand
from shared.schemas.job import JobView, Timestamp, View

LONGEST_SECONDS = 600.0
"""Of one stream: whoever comes back after it must still be allowed to."""
_TICK_SECONDS = 5.0
_REST_SECONDS = 1.0
"""However much happens, a page draws itself anew no more often than this."""
_PROBLEMS = documented(401, 403, 404, 409, 422, 503)


class BulkActionRequest(BaseModel):
    """One act on some jobs."""

    act: BulkAction
    ids: list[str] = Field(default=[], max_length=1000, description="Either these jobs…")
    matching: bool = Field(False, description="…or all that match the filter in the query string.")


class RefusedView(View):
    """A job to which nothing happened."""

    id: str
    why: str


class BulkResultView(View):
    """What an act did."""

    done: int
    refused: list[RefusedView]
    left: bool = Field(description="More match than are changed in one go: send it again.")


class AuditEntryView(View):
    """Who did what."""

    at: Timestamp
    who: str
    address: str
    act: str
    what: str
    count: int


def admin_api_router(operations: BulkActions, *, updates: JobUpdates, recognize: Recognize) -> APIRouter:
    """The routes under /admin/api."""
    router = APIRouter(prefix="/admin/api", tags=["dashboard"], responses=_PROBLEMS)
    board = operations.board
    who = Depends(recognize)
    filtered = Depends(job_filter)

    @router.get("/now", summary="The service at a glance")
    async def now(_: Annotated[AdminUser, who]) -> NowView:
        return await run_in_threadpool(board.now)

    @router.get("/history", summary="What became of all jobs")
    async def history(
        _: Annotated[AdminUser, who], span: Annotated[Literal["hour", "day", "week"], Query()] = "hour"
    ) -> HistoryView:
        chosen = next(one for one in TIME_RANGES if one.name == span)
        return await run_in_threadpool(board.over_time, chosen)

    @router.get("/jobs", summary="Find jobs", responses=documented(400))
    async def jobs(
        _: Annotated[AdminUser, who],
        chosen: Annotated[JobFilter, filtered],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> JobPageView:
        """Everybody's jobs, newest first, without their reports."""
        query = chosen.query(cursor=cursor, limit=limit)
        return JobPageView.of(await run_in_threadpool(lambda: board.list(query, text=chosen.q)))

    @router.get("/jobs/{job_id}", summary="Read anybody's job")
    async def job(_: Annotated[AdminUser, who], job_id: Annotated[str, Path(max_length=128)]) -> JobView:
        return JobView.of(await run_in_threadpool(board.jobs.get, job_id))

    @router.post("/acts", summary="Retry, cancel or delete jobs", responses=documented(400))
    async def act(
        visitor: Annotated[AdminUser, who], body: BulkActionRequest, chosen: Annotated[JobFilter, filtered]
    ) -> BulkResultView:
        """To some jobs by their ids, or to all that match: then a thousand at a time."""
        selection = selection_of(body.ids, chosen.query() if body.matching else None, chosen.q)
        outcome = await run_in_threadpool(lambda: operations.act(body.act, selection, visitor=visitor))
        refused = [RefusedView(id=job_id, why=why) for job_id, why in outcome.refused]
        return BulkResultView(done=outcome.done, refused=refused, left=outcome.left)

    @router.post("/queues/{queue}/{act}", status_code=204, summary="Pause or resume a queue")
    async def queue(
        visitor: Annotated[AdminUser, who],
        queue: Annotated[str, Path(max_length=100)],
        act: Literal["pause", "resume"],
    ) -> Response:
        """What runs goes on; nothing new is started."""
        step = operations.pause if act == "pause" else operations.resume
        await run_in_threadpool(lambda: step(queue, visitor=visitor))
        return Response(status_code=204)

    @router.post("/workers/{worker}/{act}", status_code=204, summary="Drain or restart a worker")
    async def worker(
        visitor: Annotated[AdminUser, who],
        worker: Annotated[str, Path(max_length=200)],
        act: Literal["drain", "restart", "resume"],
    ) -> Response:
        """`drain`: finish, and take nothing new until `resume`. `restart`: end; its supervisor starts it."""
        order = None if act == "resume" else WorkerCommand(act)
        await run_in_threadpool(lambda: operations.tell(worker, order, visitor=visitor))
        return Response(status_code=204)

    @router.post("/webhooks/{delivery_id}/redeliver", status_code=204, summary="Send a webhook again")
    async def redeliver(
        visitor: Annotated[AdminUser, who], delivery_id: Annotated[str, Path(max_length=128)]
    ) -> Response:
        await run_in_threadpool(lambda: operations.redeliver(delivery_id, visitor=visitor))
        return Response(status_code=204)

    @router.get("/audit", summary="Who did what")
    async def audit(
        _: Annotated[AdminUser, who], limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> list[AuditEntryView]:
        """Newest first."""
        entries = await run_in_threadpool(lambda: board.audit.latest(limit=limit))
        return [AuditEntryView.model_validate(entry) for entry in entries]

    @router.get(
        "/events",
        summary="Hear when there is something new to see",
        response_class=StreamingResponse,
        responses={200: {"content": {EVENT_STREAM: {}}}},
    )
    async def events(_: Annotated[AdminUser, who]) -> StreamingResponse:
        """Server-Sent Events without content: `changed`, at most once a second."""
        return StreamingResponse(_ticks(updates), media_type=EVENT_STREAM, headers=HEADERS)

    return router


async def _ticks(updates: JobUpdates) -> AsyncIterator[bytes]:
    yield RETRY
    ends = time.monotonic() + LONGEST_SECONDS
    with updates.subscribe() as subscription:
        while not subscription.closing and time.monotonic() < ends:
            subscription.clear()
            changed = await subscription.wait(_TICK_SECONDS)
            yield sse_event("changed" if changed else "tick", "{}")
            await asyncio.sleep(_REST_SECONDS)
