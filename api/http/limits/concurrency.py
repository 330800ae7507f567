"""Limit the requests that one process handles at the same time, before they take its memory."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.problems import problem
from api.http.root_path import route_path
from shared.observability.logs import get_logger

_log = get_logger(__name__)

_UNLIMITED = ("/healthz", "/readyz", "/metrics", "/static/")


class ConcurrencyLimit:
    """Middleware that responds 503 over the limit. Health checks and event streams don't count.

    1,500 open uploads took 300 MiB. Event streams are cheap, and have a limit of their own (see events).
    """

    def __init__(self, app: ASGIApp, *, max_requests: int) -> None:
        self._app = app
        self._max_requests = max_requests
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond 503."""
        if (
            scope["type"] != "http"
            or route_path(scope).startswith(_UNLIMITED)
            or route_path(scope).endswith("/events")
        ):
            return await self._app(scope, receive, send)
        if self._active >= self._max_requests:
            _log.warning("concurrency_limit_exceeded", limit=self._max_requests)
            response = problem(
                503, "overloaded", "The service handles too many requests. Try again in a few seconds."
            )
            return await response(scope, receive, send)
        self._active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._active -= 1
