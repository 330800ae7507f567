"""The pages of the dashboard that list jobs: all, dead and scheduled ones, batches, and one job."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse

from api.admin.auth.authentication import AdminUser, AuthenticateAdmin
from api.admin.auth.sessions import Sessions
from api.admin.job_filter import JobFilter, job_filter
from api.admin.overview import Overview
from api.admin.rendering import show
from api.http.templating import origin
from api.web.pages import song_context
from api.web.result_links import ResultLinks
from shared.clock import store_time
from shared.domain.job_state import JobState
from shared.domain.report import Verdict
from shared.ports.jobs import JobPage
from shared.ports.webhooks import DeliveryQuery

_MAX_SCHEDULED = 200
_BATCHES_PER_PAGE = 25


def job_pages_router(
    overview: Overview, *, links: ResultLinks, sessions: Sessions, authenticate: AuthenticateAdmin
) -> APIRouter:
    """The pages that list jobs. They change nothing."""
    router = APIRouter(prefix="/admin", include_in_schema=False)
    current_user = Depends(authenticate)
    current_filter = Depends(job_filter)

    @router.get("/jobs")
    def jobs_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        filter: Annotated[JobFilter, current_filter],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        newer: bool = False,
    ) -> HTMLResponse:
        page = overview.list(filter.query(cursor=cursor, newer=newer), text=filter.q)
        return list_page(request, user, page, filter=filter, view="jobs")

    @router.get("/dead")
    def dead_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        newer: bool = False,
    ) -> HTMLResponse:
        filter = JobFilter(state=JobState.DEAD)
        page = overview.list(filter.query(cursor=cursor, newer=newer), text=None)
        return list_page(request, user, page, filter=filter, view="dead")

    @router.get("/scheduled")
    def scheduled_page(request: Request, user: Annotated[AdminUser, current_user]) -> HTMLResponse:
        """The jobs that wait for another attempt, the next one first."""
        found = overview.search.scheduled(now=store_time(), limit=_MAX_SCHEDULED)
        page = JobPage(jobs=found, cursor=None)
        return list_page(request, user, page, filter=JobFilter(state=JobState.QUEUED), view="scheduled")

    def list_page(
        request: Request, user: AdminUser, found: JobPage, *, filter: JobFilter, view: str
    ) -> HTMLResponse:
        is_counted = view != "scheduled" and not filter.q
        return show(
            sessions,
            request,
            "jobs",
            user,
            found=found,
            results=overview.results(found.jobs),
            filter=filter,
            total=overview.search.count(filter.query()) if is_counted else None,
            states=list(JobState),
            verdicts=list(Verdict),
            queues=overview.queues,
            view=view,
            path=f"/admin/{view}",
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

    @router.get("/batches")
    def batches_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        owner: Annotated[str | None, Query(max_length=100)] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        """The batches of all API keys, or of one."""
        page = overview.batches.page(owner or None, cursor=cursor, limit=_BATCHES_PER_PAGE)
        return show(sessions, request, "batches", user, page=page, owner=owner or "", cursor=cursor)

    @router.get("/batches/{batch_id}")
    def batch_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        batch_id: Annotated[str, Path(max_length=128)],
    ) -> HTMLResponse:
        batch, live = overview.batches.get_with_item_states(batch_id)
        items = list(zip(batch.items, batch.states(live), strict=True))
        return show(sessions, request, "batch", user, batch=batch, items=items)

    return router
