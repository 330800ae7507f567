"""Every request gets an id, one line in the log, and an answer, even from a bug. Pure ASGI middleware."""

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import bug
from shared.observability.logs import get_logger, log_context
from shared.observability.metrics import BUGS, LATENCY, REQUESTS, MetricsBuffer, increment, observe
from shared.observability.traces import Span, TraceContext, Traces, new_trace_context, parse_traceparent

_log = get_logger(__name__)

HEADER = "X-Request-ID"
_GOOD_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,64}", re.ASCII)
_JOB_PATH = re.compile(r"/(?:v1|admin/api)/(?:jobs|uploads)/([A-Za-z0-9_-]{1,64})(?:/|$)", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """The outermost middleware of ours. Puts `request_id` into the request's state and every log line."""

    def __init__(self, app: ASGIApp, *, tally: MetricsBuffer, traces: Traces) -> None:
        self._app = app
        self._tally = tally
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = request_id_of(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        of_job = _JOB_PATH.match(scope["path"])
        place = self._place(scope) if self._traces.is_on and scope["path"] not in _QUIET else None
        with log_context(
            request_id=request_id,
            job_id=of_job[1] if of_job else None,
            trace_id=place.trace_id if place else None,
            traceparent=str(place) if place else None,
        ):
            began = time.time()
            exchange = _Exchange(scope, send, request_id, self._tally)
            await exchange.run(self._app, receive)
            if place is not None:
                self._traces.record(exchange.span(place, began=began))

    def _place(self, scope: Scope) -> TraceContext:
        parent = parse_traceparent(Headers(scope=scope).get("traceparent"))
        scope["state"]["parent_place"] = parent
        return parent.child() if parent else new_trace_context()


def request_id_of(given: str | None) -> str:
    """The client's id if it is short and harmless in a log, else a new one."""
    return given if given and _GOOD_ID.fullmatch(given) else secrets.token_hex(16)


class _Exchange:
    """One request and what is answered."""

    def __init__(self, scope: Scope, send: Send, request_id: str, tally: MetricsBuffer) -> None:
        self._tally = tally
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._status: int | None = None
        self._bytes_sent = 0

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        began = time.perf_counter()
        try:
            await app(self._scope, receive, self.send)
        except Exception as error:
            _log.error("unexpected_error", exc_info=error)
            self._tally.add(increment(BUGS))
            if self._status is not None:
                raise  # too late for an answer: the server must close the connection
            await bug(Request(self._scope))(self._scope, receive, self.send)
        finally:
            self._write(time.perf_counter() - began)

    def span(self, place: TraceContext, *, began: float) -> Span:
        """What happened, for a trace."""
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        route = route_of(self._scope)
        return Span(
            name=f"{method} {route}",
            place=place,
            parent=self._scope["state"]["parent_place"],
            began=began,
            ended=time.time(),
            kind="server",
            failed=self._status is None or self._status >= 500,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": self._status or 0,
                "kammerton.request_id": self._request_id,
            },
        )

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message)[HEADER] = self._request_id
        elif message["type"] == "http.response.body":
            self._bytes_sent += len(message.get("body", b""))
        await self._send(message)

    def _write(self, seconds: float) -> None:
        quiet = self._scope["path"] in _QUIET and self._status is not None and self._status < 500
        route, method = route_of(self._scope), self._scope["method"]
        if self._scope["path"] not in _QUIET:
            status = str(self._status or "none")
            self._tally.add(increment(REQUESTS, method if method in _METHODS else "other", route, status))
            self._tally.add(observe(LATENCY, seconds, route))
        caller = self._scope["state"].get("caller")
        (_log.debug if quiet else _log.info)(
            "request",
            method=method,
            route=route,
            status=self._status,
            seconds=round(seconds, 4),
            bytes_sent=self._bytes_sent,
            key_id=caller.key_id if caller else None,
        )


def route_of(scope: Scope) -> str:
    """The route's pattern: unlike paths there are few of them, and no client writes them."""
    return str(getattr(scope.get("route"), "path", "unknown"))
