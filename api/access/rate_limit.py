"""Limit the requests per minute of each API key or address. Uploads have quotas too: see upload_quota.

While the counters are unavailable, requests pass: the limit protects the service from load, and everything
that matters needs the same Redis anyway.
"""

import hashlib
import ipaddress

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.authentication import Caller, identify
from api.http.problems import problem
from shared.errors import Unauthenticated, Unavailable
from shared.observability.logs import get_logger
from shared.ports.access import Allowance, Quota, RateLimiter

_log = get_logger(__name__)

_UNLIMITED = ("/healthz", "/readyz", "/metrics", "/static/")


def subject_of(caller: Caller | None, address: str | None) -> str:
    """The key or address that is limited. Of IPv6, the /64 network: a client has 2^64 addresses."""
    if caller is not None and caller.key_id is not None:
        return f"key:{caller.key_id}"
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "address:unknown"
    if parsed.version == 6:
        if parsed.ipv4_mapped is None:
            parsed = ipaddress.ip_network((int(parsed) >> 64 << 64, 64)).network_address
        else:
            parsed = parsed.ipv4_mapped
    # Hashed: an IP address is personal data.
    return "address:" + hashlib.sha256(str(parsed).encode()).hexdigest()[:20]


class RequestLimit:
    """Middleware that limits requests, except health checks, and sends RateLimit headers."""

    def __init__(self, app: ASGIApp, *, limiter: RateLimiter, per_minute: int) -> None:
        self._app = app
        self._limiter = limiter
        self._quota = Quota(name="requests", limit=per_minute, window_seconds=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond 429."""
        if scope["type"] != "http" or scope["path"].startswith(_UNLIMITED):
            return await self._app(scope, receive, send)
        try:
            subject = await _subject(Request(scope))
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


async def _subject(request: Request) -> str:
    address = request.client.host if request.client else None
    try:
        return subject_of(await identify(request), address)
    except Unauthenticated:  # the route responds 401; guessed keys count against their address
        return subject_of(None, address)
