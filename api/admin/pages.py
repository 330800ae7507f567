"""The dashboard's pages under /admin, drawn by the server; small scripts only keep them fresh."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import URL

from api.admin.authentication import AdminUser, Recognize
from api.admin.bulk_actions import BulkAction, BulkActions, JobSelection, Outcome, selection_of
from api.admin.job_filter import JobFilter, job_filter
from api.admin.login import HOME, inside
from api.http.templating import origin, page
from api.web.pages import song_context
from shared.domain.history import TIME_RANGES
from shared.domain.job_state import JobState
from shared.errors import NotFound
from shared.ports.webhooks import DeliveryQuery
from shared.ports.workers import WorkerCommand


def admin_router(operations: BulkActions, *, recognize: Recognize) -> APIRouter:
    """The pages."""
    router = APIRouter(prefix="/admin", include_in_schema=False)
    board = operations.board
    who = Depends(recognize)
    filtered = Depends(job_filter)

    def show(request: Request, template: str, visitor: AdminUser, **context: Any) -> HTMLResponse:
        shown = {"visitor": visitor, "said": request.query_params.get("said", "")[:300]} | context
        return page(request, f"admin/{template}.html", shown)

    @router.get("")
    async def now(request: Request, visitor: Annotated[AdminUser, who]) -> HTMLResponse:
        return show(request, "now", visitor, now=await run_in_threadpool(board.now))

    @router.get("/history")
    async def history(
        request: Request,
        visitor: Annotated[AdminUser, who],
        span: Annotated[Literal["hour", "day", "week"], Query()] = "hour",
    ) -> HTMLResponse:
        chosen = next(one for one in TIME_RANGES if one.name == span)
        found = await run_in_threadpool(board.over_time, chosen)
        return show(request, "history", visitor, history=found, spans=[one.name for one in TIME_RANGES])

    @router.get("/jobs")
    async def jobs(
        request: Request,
        visitor: Annotated[AdminUser, who],
        chosen: Annotated[JobFilter, filtered],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        return await listed(request, visitor, chosen, cursor, dead=False)

    @router.get("/dead")
    async def dead(
        request: Request,
        visitor: Annotated[AdminUser, who],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        return await listed(request, visitor, JobFilter(state=JobState.DEAD), cursor, dead=True)

    async def listed(
        request: Request, visitor: AdminUser, chosen: JobFilter, cursor: str | None, *, dead: bool
    ) -> HTMLResponse:
        found = await run_in_threadpool(lambda: board.list(chosen.query(cursor=cursor), text=chosen.q))
        total = await run_in_threadpool(board.overview.count, chosen.query()) if not chosen.q else None
        return show(
            request,
            "jobs",
            visitor,
            found=found,
            chosen=chosen,
            total=total,
            states=list(JobState),
            dead=dead,
            path="/admin/dead" if dead else "/admin/jobs",
            first_page=cursor is None,
        )

    @router.get("/jobs/{job_id}")
    async def job(
        request: Request, visitor: Annotated[AdminUser, who], job_id: Annotated[str, Path(max_length=128)]
    ) -> HTMLResponse:
        found = await run_in_threadpool(board.jobs.get, job_id)
        position = await run_in_threadpool(board.jobs.queue_position, found)
        deliveries = await run_in_threadpool(board.deliveries.page, DeliveryQuery(job_id=job_id))
        context = song_context(found, position, origin=origin(request))
        return show(request, "job", visitor, **context, position=position, deliveries=deliveries)

    @router.get("/audit")
    async def audit(request: Request, visitor: Annotated[AdminUser, who]) -> HTMLResponse:
        entries = await run_in_threadpool(lambda: board.audit.latest(limit=200))
        return show(request, "audit", visitor, entries=entries)

    @router.post("/confirm")
    async def confirm(
        request: Request,
        visitor: Annotated[AdminUser, who],
        chosen: Annotated[JobFilter, filtered],
        act: Annotated[str, Form()],
        ids: Annotated[list[str] | None, Form()] = None,
        back: Annotated[str, Form()] = HOME,
    ) -> Response:
        """Say what would happen, to how many. Changes nothing."""
        visitor.require_act()
        name, _, matching = act.partition(":")
        if not matching and not ids:
            return _said(back, "Choose jobs first.")
        selection = _selection(ids, chosen, matching=bool(matching))
        count, exact = await run_in_threadpool(operations.count, BulkAction(name), selection)
        return show(
            request,
            "confirm",
            visitor,
            act=BulkAction(name),
            selection=selection,
            count=count,
            exact=exact,
            matching=matching,
            chosen=chosen,
            back=inside(back),
        )

    @router.post("/acts")
    async def act(
        visitor: Annotated[AdminUser, who],
        chosen: Annotated[JobFilter, filtered],
        act: Annotated[BulkAction, Form()],
        ids: Annotated[list[str] | None, Form()] = None,
        matching: Annotated[str, Form()] = "",
        back: Annotated[str, Form()] = HOME,
    ) -> Response:
        selection = _selection(ids, chosen, matching=bool(matching))
        outcome = await run_in_threadpool(lambda: operations.act(act, selection, visitor=visitor))
        deleted_here = act is BulkAction.DELETE and outcome.done and back.startswith("/admin/jobs/")
        return _said("/admin/jobs" if deleted_here else back, _sentence(act, outcome))

    @router.post("/queues/{queue}")
    async def queue(
        visitor: Annotated[AdminUser, who],
        queue: Annotated[str, Path(max_length=100)],
        act: Annotated[Literal["pause", "resume"], Form()],
    ) -> Response:
        step = operations.pause if act == "pause" else operations.resume
        await run_in_threadpool(lambda: step(queue, visitor=visitor))
        return _said(HOME, f"The queue {queue} is {'paused' if act == 'pause' else 'at work again'}.")

    @router.post("/workers/{worker}")
    async def worker(
        visitor: Annotated[AdminUser, who],
        worker: Annotated[str, Path(max_length=200)],
        act: Annotated[Literal["drain", "restart", "resume"], Form()],
    ) -> Response:
        order = None if act == "resume" else WorkerCommand(act)
        await run_in_threadpool(lambda: operations.tell(worker, order, visitor=visitor))
        return _said(HOME, f"The worker {worker} was told so; it heeds within a few seconds.")

    @router.post("/webhooks/{delivery_id}")
    async def redeliver(
        visitor: Annotated[AdminUser, who],
        delivery_id: Annotated[str, Path(max_length=128)],
        back: Annotated[str, Form()] = HOME,
    ) -> Response:
        await run_in_threadpool(lambda: operations.redeliver(delivery_id, visitor=visitor))
        return _said(back, "The webhook is sent again.")

    @router.get("/api/{rest:path}")
    async def other_method(rest: str) -> Response:  # noqa: ARG001  # any address
        """The routes of the JSON know this address by another method, or nobody does."""
        raise HTTPException(405)

    @router.get("/{rest:path}")
    async def nothing(_: Annotated[AdminUser, who], rest: str) -> Response:  # noqa: ARG001  # any address
        raise NotFound("There is no such page in the dashboard.")

    return router


def _said(address: str, sentence: str) -> Response:
    """Back to a page, which says what has happened."""
    parts = urlsplit(inside(address))
    fields = [field for field in parts.query.split("&") if field and not field.startswith("said=")]
    url = URL(parts.path + ("?" + "&".join(fields) if fields else ""))
    return RedirectResponse(str(url.include_query_params(said=sentence)), status_code=303)


def _selection(ids: list[str] | None, chosen: JobFilter, *, matching: bool) -> JobSelection:
    return selection_of([] if matching else (ids or []), chosen.query() if matching else None, chosen.q)


_DONE = {BulkAction.RETRY: "queued again", BulkAction.CANCEL: "canceled", BulkAction.DELETE: "deleted"}


def _sentence(act: BulkAction, outcome: Outcome) -> str:
    jobs = "One job was" if outcome.done == 1 else f"{outcome.done:,} jobs were"
    said = f"{jobs} {_DONE[act]}."
    if outcome.refused:
        said += f" {len(outcome.refused):,} were left as they are: {outcome.refused[0][1]}"
    if outcome.left:
        said += " There are more: do it again for the rest."
    return said
