"""What every answer tells browsers, and which hosts and proxies are believed. Pure ASGI."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.config import Web
from api.http.problems import problem

_READABLE = ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID")
_TUS_REQUEST = (
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
)
_TUS_ANSWER = (
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
)
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def add_web(app: FastAPI, web: Web) -> None:
    """Add the middleware. Call it after all that is to lie within."""
    if web.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=web.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(
                "Authorization",
                "Content-Digest",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "X-Request-ID",
                *_TUS_REQUEST,
            ),
            expose_headers=(*_READABLE, *_TUS_ANSWER),
            max_age=3600,
        )
    if web.hosts:
        app.add_middleware(KnownHosts, hosts=web.hosts)
    app.add_middleware(BrowserHeaders, storage_url=web.storage_url)
    if web.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(web.proxies))


class BrowserHeaders:
    """Forbids browsers whatever our pages do not need. A route that sets one of these itself is right."""

    def __init__(self, app: ASGIApp, *, storage_url: str | None = None) -> None:
        self._app = app
        parts = urlsplit(storage_url or "")
        storage = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
        self._page_policy = (
            f"default-src 'self'; connect-src 'self'{storage}; img-src 'self' data:; object-src 'none'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._mark(scope, MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, marked)

    def _mark(self, scope: Scope, headers: MutableHeaders) -> None:
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


class KnownHosts:
    """Refuses requests for names that are not ours: links and caches could be poisoned with them."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str]) -> None:
        self._app = app
        self._exact = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self._endings = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it. Health checks come by address."""
        if scope["type"] != "http" or scope["path"] in {"/healthz", "/readyz", "/metrics"}:
            return await self._app(scope, receive, send)
        host = _name(Headers(scope=scope).get("host", ""))
        if host in self._exact or (self._endings and host.endswith(self._endings)):
            return await self._app(scope, receive, send)
        answer = problem(400, "unknown_host", "The Host header names none of ours (KAMMERTON_ALLOWED_HOSTS).")
        await answer(scope, receive, send)


def _name(host: str) -> str:
    """The name without its port; IPv6 addresses keep their brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
