"""The pages of the dashboard that list jobs: all, dead and scheduled ones, batches, and one job."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse

from api.admin.job_filter import (
    NATURAL_ORDERS,
    CurrentFilter,
    CurrentPosition,
    JobFilter,
    JobOrder,
    ListPosition,
)
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
_MAX_LIVE_SORTED = 500
"""A longer list that is sorted by a column is not sorted again at each change of a job."""
_DEFAULT_ORDERS = {"scheduled": "starts"}


router = APIRouter(prefix="/admin", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ListView:
    """One of the pages that list jobs."""

    name: str
    """`jobs`, `dead`, or `scheduled`."""
    filter: JobFilter
    order: JobOrder
    total: int | None = None
    """How many jobs match, if that is known."""
    is_complete: bool = True
    """Whether the order is that of all jobs that match, not only of the newest of them."""
    is_live: bool = True

    @property
    def default(self) -> str:
        """The order that needs no choice."""
        return _DEFAULT_ORDERS.get(self.name, "newest")

    @property
    def is_by_time(self) -> bool:
        """Whether the list is in the order in which the jobs were submitted."""
        return self.order.column == "submitted"

    @property
    def orders(self) -> list[JobOrder]:
        """The order that a first click on each column gives."""
        return [JobOrder.parse(self.default), *(JobOrder.parse(order) for order in NATURAL_ORDERS[1:])]

    def order_after_click(self, column: str) -> JobOrder:
        """The order that a click on the heading of a column gives."""
        if self.order.column == column:
            return self.order.reversed
        return next(order for order in self.orders if order.column == column)

    def link(self, order: JobOrder | None = None, **extra: str) -> str:
        """The address of this list from its beginning, or from a cursor on, in this order or another one."""
        chosen = str(order or self.order)
        fields = ({} if chosen == self.default else {"sort": chosen}) | extra
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
    return _list_page(render, overview, "jobs", filter, position)


@router.get("/dead")
def dead_page(overview: ProvidedOverview, render: CurrentRenderer, position: CurrentPosition) -> HTMLResponse:
    """The jobs that failed at every attempt."""
    return _list_page(render, overview, "dead", JobFilter(state=JobState.DEAD), position)


@router.get("/scheduled")
def scheduled_page(
    overview: ProvidedOverview, render: CurrentRenderer, position: CurrentPosition
) -> HTMLResponse:
    """The jobs that wait for another attempt, the next one first."""
    order = position.order or JobOrder.parse(_DEFAULT_ORDERS["scheduled"])
    found = order.apply(overview.search.scheduled(now=store_time(), limit=_MAX_SCHEDULED), {})
    view = ListView("scheduled", JobFilter(state=JobState.QUEUED), order)
    return _render_list(render, overview, JobPage(jobs=tuple(found), cursor=None), view)


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


def _list_page(
    render: Renderer, overview: Overview, name: str, filter: JobFilter, position: ListPosition
) -> HTMLResponse:
    query = filter.query()
    order = position.order or JobOrder.parse("newest")
    if order.column == "submitted":
        page = overview.list(position.applied_to(query), text=filter.q)
        is_counted = not filter.q and not filter.batch
        total = overview.search.count(query) if is_counted else None
        return _render_list(render, overview, page, ListView(name, filter, order, total))
    found = overview.sorted_list(query, order, text=filter.q, offset=position.offset)
    is_live = found.count <= _MAX_LIVE_SORTED
    view = ListView(name, filter, order, found.count, found.is_complete, is_live)
    return _render_list(render, overview, found.page, view)


def _render_list(render: Renderer, overview: Overview, found: JobPage, view: ListView) -> HTMLResponse:
    return render(
        "jobs",
        found=found,
        results=overview.results(found.jobs),
        filter=view.filter,
        states=list(JobState),
        verdicts=list(Verdict),
        queues=overview.queues,
        list=view,
        view=view.name,
        link=view.link,
    )
