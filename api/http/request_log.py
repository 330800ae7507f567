"""Middleware that gives each request an id, a log line, metrics and a span, and responds 500 to a bug."""

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import internal_error
from api.http.root_path import route_path
from shared.observability.logs import get_logger, log_context
from shared.observability.metrics import BUGS, LATENCY, REQUESTS, increment, observe
from shared.observability.recorder import MetricsBuffer
from shared.observability.traces import Span, TraceContext, Traces, new_trace_context, parse_traceparent

_log = get_logger(__name__)

HEADER = "X-Request-ID"
_VALID_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,64}", re.ASCII)
_JOB_PATH = re.compile(r"/(?:v1|admin/api)/(?:jobs|uploads)/([A-Za-z0-9_-]{1,64})(?:/|$)", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNLOGGED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """Puts `request_id` into the request's state and into every log line. Only RootPath is outside of it."""

    def __init__(self, app: ASGIApp, *, buffer: MetricsBuffer, traces: Traces) -> None:
        self._app = app
        self._buffer = buffer
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = request_id_of(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        job_match = _JOB_PATH.match(route_path(scope))
        context = (
            self._trace_context(scope)
            if self._traces.is_on and route_path(scope) not in _UNLOGGED_PATHS
            else None
        )
        with log_context(
            request_id=request_id,
            job_id=job_match[1] if job_match else None,
            trace_id=context.trace_id if context else None,
            traceparent=str(context) if context else None,
        ):
            started_at = time.time()
            exchange = _Exchange(scope, send, request_id, self._buffer)
            await exchange.run(self._app, receive)
            if context is not None:
                self._traces.record(exchange.span(context, started_at=started_at))

    def _trace_context(self, scope: Scope) -> TraceContext:
        parent = parse_traceparent(Headers(scope=scope).get("traceparent"))
        scope["state"]["parent_trace_context"] = parent
        return parent.child() if parent else new_trace_context()


def request_id_of(client_id: str | None) -> str:
    """The client's id if it is short and safe to log, otherwise a new one."""
    return client_id if client_id and _VALID_ID.fullmatch(client_id) else secrets.token_hex(16)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, send: Send, request_id: str, buffer: MetricsBuffer) -> None:
        self._buffer = buffer
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._status: int | None = None
        self._bytes_sent = 0

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        started = time.perf_counter()
        try:
            await app(self._scope, receive, self.send)
        except Exception as error:
            _log.error("unexpected_error", exc_info=error)
            self._buffer.add(increment(BUGS))
            if self._status is not None:
                raise  # the response has begun: the server must close the connection
            await internal_error(Request(self._scope))(self._scope, receive, self.send)
        finally:
            self._write(time.perf_counter() - started)

    def span(self, context: TraceContext, *, started_at: float) -> Span:
        """The request as a span of a trace."""
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        route = route_of(self._scope)
        return Span(
            name=f"{method} {route}",
            context=context,
            parent=self._scope["state"]["parent_trace_context"],
            began=started_at,
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
        is_check = route_path(self._scope) in _UNLOGGED_PATHS
        unlogged = is_check and self._status is not None and self._status < 500
        route, method = route_of(self._scope), self._scope["method"]
        if not is_check:
            status = str(self._status or "none")
            self._buffer.add(increment(REQUESTS, method if method in _METHODS else "other", route, status))
            self._buffer.add(observe(LATENCY, seconds, route))
        caller = self._scope["state"].get("caller")
        (_log.debug if unlogged else _log.info)(
            "request_handled",
            method=method,
            route=route,
            status=self._status,
            seconds=round(seconds, 4),
            bytes_sent=self._bytes_sent,
            key_id=caller.key_id if caller else None,
        )


def route_of(scope: Scope) -> str:
    """The pattern of the route. Unlike a path, a client can't choose it, and there are few of them."""
    return str(getattr(scope.get("route"), "path", "unknown"))
