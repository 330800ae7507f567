"""Render pages, serve static files. A page may not load anything from another host."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.types import Scope

from api.http.compression import accepts_gzip, compressed_file
from shared.domain.audio.text import length_text, track_text
from shared.root_path import root_path

_HERE = Path(__file__).parent.parent
STATIC = _HERE / "static"
_TEXT = frozenset({".css", ".js", ".svg", ".txt"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "media-src blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Assets(StaticFiles):
    """Static files. A URL with a version never changes its content, so browsers may cache it forever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, compressed if it is text and the client accepts that."""
        response = await super().get_response(path, scope)
        if Path(path).suffix in _TEXT:
            response.headers.add_vary_header("Accept-Encoding")
            if isinstance(response, FileResponse) and accepts_gzip(scope):
                response = await _compressed(response)
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


async def _compressed(response: FileResponse) -> Response:
    """The same file with its other headers."""
    body = await run_in_threadpool(compressed_file, Path(response.path))
    headers = dict(response.headers) | {"content-encoding": "gzip", "content-length": str(len(body))}
    return Response(body, headers=headers, media_type=response.media_type)


def assets() -> Assets:
    """The app to mount at /static."""
    return Assets(directory=STATIC)


def page(
    request: Request, template: str, context: Mapping[str, object], *, status: int = 200
) -> HTMLResponse:
    """A whole page or a part of one."""
    text = _templates(root_path()).get_template(template).render(request=request, **context)
    return HTMLResponse(text, status, PAGE_HEADERS)


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that follows a link or sends a form."""
    return "text/html" in request.headers.get("accept", "")


@cache
def _templates(root: str) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"root": root, "asset": lambda name: root + _asset(name)}
    templates.filters.update(
        bytes=in_bytes,
        seconds=in_seconds,
        moment=_moment,
        iso=_iso,
        cents=in_cents,
        apart=apart,
        length_text=length_text,
        track_text=track_text,
        thousands=lambda count: f"{count:,}",
    )
    return templates


@cache
def _asset(name: str) -> str:
    """The path of a static file, with the hash of its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def in_bytes(count: float | None) -> str:
    """A readable size, for example `3.1 MB`."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in {"B", "kB"} else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def in_seconds(seconds: float | None) -> str:
    """A readable duration, for example `2 min 5 s`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def in_cents(cents: float | None) -> str:
    """A deviation with its sign."""
    if cents is None:
        return "–"
    return f"{cents:+.1f} cents".replace("-", "−")


def apart(cents: float) -> str:
    """A deviation in words, for example `3.1 cents above`."""
    return f"{abs(cents):.1f} cents {'above' if cents > 0 else 'below'}"


def _moment(timestamp: float | None) -> str:
    return (
        "–" if timestamp is None else datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def _iso(timestamp: float | None) -> str:
    return (
        "" if timestamp is None else datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")
    )


def origin(request: Request) -> str:
    """Scheme, host and path prefix as the client sees them."""
    return str(request.base_url).rstrip("/")
