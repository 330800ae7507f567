"""The pages of the dashboard under /admin. The server renders them; small scripts keep them up to date."""

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import HTMLResponse, Response

from api.admin.audit import ACTIONS
from api.admin.auth.authentication import CurrentUser
from api.admin.overview import ProvidedOverview
from api.admin.rendering import CurrentRenderer
from shared.domain.history import TIME_RANGES
from shared.errors import NotFound
from shared.ports.admin import AuditQuery
from shared.ports.webhooks import DeliveryQuery

router = APIRouter(prefix="/admin", include_in_schema=False)
"""The pages that only show something."""


@router.get("")
def overview_page(overview: ProvidedOverview, render: CurrentRenderer) -> HTMLResponse:
    """The service at a glance."""
    return render("overview", now=overview.now())


@router.get("/history")
def history_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    span: Annotated[Literal["hour", "day", "week"], Query()] = "hour",
) -> HTMLResponse:
    """The outcomes of all jobs over time."""
    selected = next(one for one in TIME_RANGES if one.name == span)
    history = overview.over_time(selected)
    return render("history", history=history, spans=[one.name for one in TIME_RANGES])


@router.get("/webhooks")
def webhooks_page(overview: ProvidedOverview, render: CurrentRenderer) -> HTMLResponse:
    """The webhook endpoints of all API keys."""
    return render("webhooks", endpoints=overview.endpoints.list_all())


@router.get("/webhooks/{endpoint_id}")
def webhook_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    endpoint_id: Annotated[str, Path(max_length=128)],
) -> HTMLResponse:
    """An endpoint and its latest deliveries."""
    endpoint = overview.endpoints.get(endpoint_id)
    deliveries = overview.deliveries.page(DeliveryQuery(endpoint_id=endpoint_id))
    return render("webhook", endpoint=endpoint, deliveries=deliveries)


@router.get("/audit")
def audit_page(
    overview: ProvidedOverview,
    render: CurrentRenderer,
    act: Annotated[str | None, Query(max_length=40)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[str | None, Query(max_length=60)] = None,
) -> HTMLResponse:
    """What people and programs did, logins and failed logins among it."""
    query = AuditQuery(act=act or None, text=(q or "").strip() or None, cursor=cursor)
    page = overview.audit.page(query)
    return render("audit", page=page, query=query, actions=ACTIONS)


fallback_router = APIRouter(prefix="/admin", include_in_schema=False)
"""Answers what no other route under /admin matches. Include it last."""


@fallback_router.get("/api/{rest:path}")
def wrong_method(rest: str) -> Response:  # noqa: ARG001  # any path
    """Raise 405, which the error handler turns into 404 for unknown paths."""
    raise HTTPException(405)


@fallback_router.get("/{rest:path}")
def unknown_page(_: CurrentUser, rest: str) -> Response:  # noqa: ARG001  # any path
    """Raise 404."""
    raise NotFound("The dashboard has no such page.")
