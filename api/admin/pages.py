"""The pages of the dashboard under /admin. The server renders them; small scripts keep them up to date."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from api.admin.auth.authentication import AdminUser, AuthenticateAdmin
from api.admin.auth.flash import clear_flash, read_flash
from api.admin.auth.sessions import Sessions
from api.admin.job_filter import JobFilter, job_filter
from api.admin.overview import Overview
from api.http.templating import origin, page
from api.web.pages import song_context
from api.web.result_links import ResultLinks
from shared.domain.history import TIME_RANGES
from shared.domain.job_state import JobState
from shared.errors import NotFound
from shared.ports.webhooks import DeliveryQuery

_AUDIT_ENTRIES = 200


def show(
    sessions: Sessions, request: Request, template: str, user: AdminUser, **context: Any
) -> HTMLResponse:
    """A page of the dashboard, with the flash message that waits for it."""
    flash = read_flash(sessions, request)
    response = page(request, f"admin/{template}.html", {"user": user, "flash": flash} | context)
    if flash:
        clear_flash(response)
    return response


def admin_pages_router(
    overview: Overview, *, links: ResultLinks, sessions: Sessions, authenticate: AuthenticateAdmin
) -> APIRouter:
    """The pages that only show something."""
    router = APIRouter(prefix="/admin", include_in_schema=False)
    current_user = Depends(authenticate)
    current_filter = Depends(job_filter)

    @router.get("")
    def overview_page(request: Request, user: Annotated[AdminUser, current_user]) -> HTMLResponse:
        return show(sessions, request, "overview", user, now=overview.now())

    @router.get("/history")
    def history_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        span: Annotated[Literal["hour", "day", "week"], Query()] = "hour",
    ) -> HTMLResponse:
        selected = next(one for one in TIME_RANGES if one.name == span)
        history = overview.over_time(selected)
        return show(
            sessions, request, "history", user, history=history, spans=[one.name for one in TIME_RANGES]
        )

    @router.get("/jobs")
    def jobs_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        filter: Annotated[JobFilter, current_filter],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        return list_page(request, user, filter, cursor, dead=False)

    @router.get("/dead")
    def dead_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        return list_page(request, user, JobFilter(state=JobState.DEAD), cursor, dead=True)

    def list_page(
        request: Request, user: AdminUser, filter: JobFilter, cursor: str | None, *, dead: bool
    ) -> HTMLResponse:
        found = overview.list(filter.query(cursor=cursor), text=filter.q)
        return show(
            sessions,
            request,
            "jobs",
            user,
            found=found,
            filter=filter,
            total=None if filter.q else overview.search.count(filter.query()),
            states=list(JobState),
            dead=dead,
            path="/admin/dead" if dead else "/admin/jobs",
            is_first_page=cursor is None,
        )

    @router.get("/jobs/{job_id}")
    def job_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        job_id: Annotated[str, Path(max_length=128)],
    ) -> HTMLResponse:
        job = overview.jobs.get(job_id)
        position = overview.jobs.queue_position(job)
        deliveries = overview.deliveries.page(DeliveryQuery(job_id=job_id))
        context = song_context(job, position, origin=origin(request), links=links)
        return show(sessions, request, "job", user, **context, position=position, deliveries=deliveries)

    @router.get("/webhooks")
    def webhooks_page(request: Request, user: Annotated[AdminUser, current_user]) -> HTMLResponse:
        """The webhook endpoints of all API keys."""
        return show(sessions, request, "webhooks", user, endpoints=overview.endpoints.list_all())

    @router.get("/webhooks/{endpoint_id}")
    def webhook_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        endpoint_id: Annotated[str, Path(max_length=128)],
    ) -> HTMLResponse:
        """An endpoint and its latest deliveries."""
        endpoint = overview.endpoints.get(endpoint_id)
        deliveries = overview.deliveries.page(DeliveryQuery(endpoint_id=endpoint_id))
        return show(sessions, request, "webhook", user, endpoint=endpoint, deliveries=deliveries)

    @router.get("/audit")
    def audit_page(request: Request, user: Annotated[AdminUser, current_user]) -> HTMLResponse:
        entries = overview.audit.latest(limit=_AUDIT_ENTRIES)
        return show(sessions, request, "audit", user, entries=entries)

    return router


def fallback_router(authenticate: AuthenticateAdmin) -> APIRouter:
    """Answers what no other route under /admin matches. Include it last."""
    router = APIRouter(prefix="/admin", include_in_schema=False)

    @router.get("/api/{rest:path}")
    def wrong_method(rest: str) -> Response:  # noqa: ARG001  # any path
        """Raise 405, which the error handler turns into 404 for unknown paths."""
        raise HTTPException(405)

    @router.get("/{rest:path}")
    def unknown_page(_: Annotated[AdminUser, Depends(authenticate)], rest: str) -> Response:  # noqa: ARG001  # any path
        raise NotFound("The dashboard has no such page.")

    return router
