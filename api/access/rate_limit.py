"""Limit the requests per minute of each API key or address. Uploads have quotas too: see upload_quota.

While the counters are unavailable, requests pass: the limit protects the service from load, and everything
that matters needs the same Redis anyway.
"""

from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.authentication import client_address, identify, subject_of
from api.http.problems import problem
from api.http.root_path import route_path
from shared.errors import Unauthenticated, Unavailable
from shared.observability.logs import get_logger
from shared.ports.access import Allowance, Quota, RateLimiter

_log = get_logger(__name__)

_UNLIMITED = ("/healthz", "/readyz", "/metrics", "/static/", "/admin/login")
"""Logins have a limit of their own: other clients of a proxy must not lock out the operators behind it."""

SessionSubject = Callable[[Request], str | None]
"""From a request to the dashboard session whose requests are counted. Blocking."""


class RequestLimit:
    """Middleware that limits requests, except health checks, and sends RateLimit headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limiter: RateLimiter,
        per_minute: int,
        session_subject: SessionSubject = lambda _: None,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._session_subject = session_subject
        self._quota = Quota(name="requests", limit=per_minute, window_seconds=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond 429."""
        if scope["type"] != "http" or route_path(scope).startswith(_UNLIMITED):
            return await self._app(scope, receive, send)
        try:
            subject = await self._subject(Request(scope))
            allowance = await run_in_threadpool(self._limiter.consume, self._quota, subject)
        except Unavailable as error:
            _log.warning("rate_limit_skipped", reason=error.message)
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), allowance)
            await send(message)

        if allowance.allowed:
            return await self._app(scope, receive, send_with_headers)
        _log.warning("rate_limit_exceeded", subject=subject)
        answer = problem(
            429,
            "too_many_requests",
            f"You sent more than {self._quota.limit} requests in a minute. "
            f"Try again in {allowance.reset_seconds} s.",
            {"Retry-After": str(allowance.reset_seconds)},
        )
        await answer(scope, receive, send_with_headers)

    def _add_headers(self, headers: MutableHeaders, allowance: Allowance) -> None:
        """See draft-ietf-httpapi-ratelimit-headers."""
        quota = self._quota
        headers["RateLimit-Policy"] = f'"{quota.name}";q={quota.limit};w={quota.window_seconds}'
        headers["RateLimit"] = f'"{quota.name}";r={allowance.remaining};t={allowance.reset_seconds}'

    async def _subject(self, request: Request) -> str:
        try:
            caller = await identify(request)
        except Unauthenticated:  # the route responds 401; guessed keys count against their address
            return subject_of(None, client_address(request))
        if caller.key_id is None:
            return await run_in_threadpool(self._session_subject, request) or caller.subject
        return caller.subject
