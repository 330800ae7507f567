"""The pages of the dashboard that list jobs: all, dead and scheduled ones, batches, and one job."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse

from api.admin.job_filter import CurrentFilter, CurrentPosition, JobFilter
from api.admin.overview import Overview, ProvidedOverview
from api.admin.rendering import CurrentRenderer, Renderer
from api.http.provided import provided
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


router = APIRouter(prefix="/admin", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ListView:
    """One of the pages that list jobs."""

    name: str
    """`jobs`, `dead`, or `scheduled`."""
    filter: JobFilter
    oldest_first: bool = False

    def link(self, *, oldest_first: bool | None = None, **extra: str) -> str:
        """The address of this list from its beginning, or from a cursor on, in this order or another one."""
        is_oldest_first = self.oldest_first if oldest_first is None else oldest_first
        fields = ({"sort": "oldest"} if is_oldest_first else {}) | extra
        filter = self.filter if self.name == "jobs" else JobFilter()
        return filter.link(f"/admin/{self.name}", **fields)


@router.get("/jobs")
def jobs_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    filter: CurrentFilter,
    position: CurrentPosition,
) -> HTMLResponse:
    """The jobs that match the filter."""
    page = overview.list(position.applied_to(filter.query()), text=filter.q)
    return _list_page(render, overview, page, view=ListView("jobs", filter, position.oldest_first))


@router.get("/dead")
def dead_page(overview: ProvidedOverview, render: CurrentRenderer, position: CurrentPosition) -> HTMLResponse:
    """The jobs that failed at every attempt."""
    filter = JobFilter(state=JobState.DEAD)
    page = overview.list(position.applied_to(filter.query()), text=None)
    return _list_page(render, overview, page, view=ListView("dead", filter, position.oldest_first))


@router.get("/scheduled")
def scheduled_page(overview: ProvidedOverview, render: CurrentRenderer) -> HTMLResponse:
    """The jobs that wait for another attempt, the next one first."""
    found = overview.search.scheduled(now=store_time(), limit=_MAX_SCHEDULED)
    page = JobPage(jobs=found, cursor=None)
    return _list_page(render, overview, page, view=ListView("scheduled", JobFilter(state=JobState.QUEUED)))


@router.get("/jobs/{job_id}")
def job_page(
    overview: ProvidedOverview,
    links: Annotated[ResultLinks, provided(ResultLinks)],
    render: CurrentRenderer,
    job_id: Annotated[str, Path(max_length=128)],
) -> HTMLResponse:
    """One job with its report and its webhooks."""
    job = overview.jobs.get(job_id)
    position = overview.jobs.queue_position(job)
    deliveries = overview.deliveries.page(DeliveryQuery(job_id=job_id))
    context = song_context(job, position, origin=origin(render.request), links=links)
    return render("job", **context, position=position, deliveries=deliveries)


@router.get("/batches")
def batches_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    owner: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """The batches of all API keys, or of one."""
    page = overview.batches.page(owner or None, cursor=cursor, limit=_BATCHES_PER_PAGE)
    return render("batches", page=page, owner=owner or "", cursor=cursor)


@router.get("/batches/{batch_id}")
def batch_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    batch_id: Annotated[str, Path(max_length=128)],
) -> HTMLResponse:
    """One batch and the states of its jobs."""
    batch, live = overview.batches.get_with_item_states(batch_id)
    items = list(zip(batch.items, batch.states(live), strict=True))
    return render("batch", batch=batch, items=items)


def _list_page(render: Renderer, overview: Overview, found: JobPage, *, view: ListView) -> HTMLResponse:
    filter = view.filter
    is_counted = view.name != "scheduled" and not filter.q and not filter.batch
    return render(
        "jobs",
        found=found,
        results=overview.results(found.jobs),
        filter=filter,
        total=overview.search.count(filter.query()) if is_counted else None,
        states=list(JobState),
        verdicts=list(Verdict),
        queues=overview.queues,
        view=view.name,
        oldest_first=view.oldest_first,
        link=view.link,
    )
