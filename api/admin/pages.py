"""The pages of the dashboard under /admin. The server renders them; small scripts keep them up to date."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from api.admin.audit import ACTIONS
from api.admin.auth.authentication import AdminUser, AuthenticateAdmin
from api.admin.auth.sessions import Sessions
from api.admin.overview import Overview
from api.admin.rendering import show
from shared.domain.history import TIME_RANGES
from shared.errors import NotFound
from shared.ports.admin import AuditQuery
from shared.ports.webhooks import DeliveryQuery


def admin_pages_router(
    overview: Overview, *, sessions: Sessions, authenticate: AuthenticateAdmin
) -> APIRouter:
    """The pages that only show something."""
    router = APIRouter(prefix="/admin", include_in_schema=False)
    current_user = Depends(authenticate)

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
    def audit_page(
        request: Request,
        user: Annotated[AdminUser, current_user],
        act: Annotated[str | None, Query(max_length=40)] = None,
        q: Annotated[str | None, Query(max_length=200)] = None,
        cursor: Annotated[str | None, Query(max_length=60)] = None,
    ) -> HTMLResponse:
        """What people and programs did, logins and failed logins among it."""
        query = AuditQuery(act=act or None, text=(q or "").strip() or None, cursor=cursor)
        page = overview.audit.page(query)
        return show(sessions, request, "audit", user, page=page, query=query, actions=ACTIONS)

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
