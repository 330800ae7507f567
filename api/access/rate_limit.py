"""Who is counted, and how often they may ask. Uploads have limits of their own, in api.admission.

While the counters are away, requests are let through: the limit protects the service from load, and what
matters needs the same server anyway.
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

_FREE = ("/healthz", "/readyz", "/metrics", "/static/")


def subject_of(caller: Caller | None, address: str | None) -> str:
    """Who is counted: a key, or an address; of IPv6 the network, since everybody has 2^64 addresses."""
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
    # hashed: an address is somebody's, and no key of Redis needs it
    return "address:" + hashlib.sha256(str(parsed).encode()).hexdigest()[:20]


class RequestLimit:
    """Counts every request but health checks, and says in each answer how many are left. Pure ASGI."""

    def __init__(self, app: ASGIApp, *, limiter: RateLimiter, per_minute: int) -> None:
        self._app = app
        self._limiter = limiter
        self._quota = Quota(name="requests", limit=per_minute, window_seconds=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["path"].startswith(_FREE):
            return await self._app(scope, receive, send)
        try:
            subject = await _subject(Request(scope))
            allowance = await run_in_threadpool(self._limiter.consume, self._quota, subject)
        except Unavailable as error:
            _log.warning("requests_not_counted", why=error.message)
            return await self._app(scope, receive, send)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._mark(MutableHeaders(scope=message), allowance)
            await send(message)

        if allowance.allowed:
            return await self._app(scope, receive, marked)
        _log.warning("requests_limited", subject=subject)
        answer = problem(
            429,
            "too_many_requests",
            f"More than {self._quota.limit} requests in a minute; go on in {allowance.reset_seconds} s.",
            {"Retry-After": str(allowance.reset_seconds)},
        )
        await answer(scope, receive, marked)

    def _mark(self, headers: MutableHeaders, allowance: Allowance) -> None:
        """As draft-ietf-httpapi-ratelimit-headers has it."""
        quota = self._quota
        headers["RateLimit-Policy"] = f'"{quota.name}";q={quota.limit};w={quota.window_seconds}'
        headers["RateLimit"] = f'"{quota.name}";r={allowance.remaining};t={allowance.reset_seconds}'


async def _subject(request: Request) -> str:
    address = request.client.host if request.client else None
    try:
        return subject_of(await identify(request), address)
    except Unauthenticated:  # the route will say so; guesses count against where they come from
        return subject_of(None, address)
