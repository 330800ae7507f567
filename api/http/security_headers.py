"""Middleware for browsers and proxies: CORS, security headers, allowed hosts, trusted proxies."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.config import HttpConfig
from api.http.forwarded import UntrustedProxyWarning
from api.http.problems import problem
from api.http.root_path import route_path

_EXPOSED_HEADERS = (
    "ETag",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)
_TUS_REQUEST_HEADERS = (
    "Upload-Checksum",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
)
_TUS_RESPONSE_HEADERS = (
    "Tus-Checksum-Algorithm",
    "Upload-Concat",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
_HEALTH_CHECKS = frozenset({"/healthz", "/readyz", "/metrics"})
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def add_http_middleware(app: FastAPI, config: HttpConfig) -> None:
    """Add the middleware. What is added later lies outside of it."""
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(
                "Authorization",
                "Cache-Control",
                "Content-Digest",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "Last-Event-ID",
                "Prefer",
                "traceparent",
                "tracestate",
                "X-Requested-With",
                "X-Request-ID",
                *_TUS_REQUEST_HEADERS,
            ),
            expose_headers=(*_EXPOSED_HEADERS, *_TUS_RESPONSE_HEADERS),
            max_age=3600,
        )
    app.add_middleware(AllowedHosts, hosts=config.allowed_hosts)
    app.add_middleware(SecurityHeaders, storage_url=config.storage_url)
    if config.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(config.trusted_proxies))
    app.add_middleware(UntrustedProxyWarning, trusted=config.trusted_proxies)


class SecurityHeaders:
    """Forbids browsers what our pages don't need. A route may set these headers itself."""

    def __init__(self, app: ASGIApp, *, storage_url: str | None = None) -> None:
        self._app = app
        parts = urlsplit(storage_url or "")
        storage = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
        self._page_policy = (
            f"default-src 'self'; connect-src 'self'{storage}; img-src 'self' data:; object-src 'none'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add_headers(self, scope: Scope, headers: MutableHeaders) -> None:
        policy = _DATA_POLICY
        if headers.get("content-type", "").startswith("text/html"):
            policy = self._page_policy
        headers.setdefault("Content-Security-Policy", policy)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if scope["scheme"] == "https":
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class AllowedHosts:
    """Refuses requests without a clear host, and for another host, which could poison links and caches."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str]) -> None:
        self._app = app
        self._exact = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self._suffixes = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond 400. Health checks may use an IP address."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            response = problem(400, "bad_http", "Send exactly one Host header.")
            return await response(scope, receive, send)
        if not (self._exact or self._suffixes) or route_path(scope) in _HEALTH_CHECKS:
            return await self._app(scope, receive, send)
        host = _host_name(hosts[0] if hosts else "")
        if host in self._exact or (self._suffixes and host.endswith(self._suffixes)):
            return await self._app(scope, receive, send)
        response = problem(
            400, "unknown_host", "The Host header is not an allowed host. Check KAMMERTON_ALLOWED_HOSTS."
        )
        await response(scope, receive, send)


def _host_name(host: str) -> str:
    """The name without its port. An IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
