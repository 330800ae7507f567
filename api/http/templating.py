"""Templates, static files and the headers of pages. No page may load anything from another host."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.types import Scope

_HERE = Path(__file__).parent.parent
STATIC = _HERE / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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
    """Static files. An address with a version never changes its content, so it may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file."""
        answer = await super().get_response(path, scope)
        kept = b"v=" in scope.get("query_string", b"")
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def assets() -> Assets:
    """What to mount at /static."""
    return Assets(directory=STATIC)


def page(
    request: Request, template: str, context: Mapping[str, object], *, status: int = 200
) -> HTMLResponse:
    """A whole page or a part of one."""
    text = _templates().get_template(template).render(request=request, **context)
    return HTMLResponse(text, status, PAGE_HEADERS)


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer: a browser that follows a link or sends a form."""
    return "text/html" in request.headers.get("accept", "")


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["asset"] = _asset
    templates.filters.update(
        bytes=in_bytes,
        seconds=in_seconds,
        moment=_moment,
        iso=_iso,
        cents=in_cents,
        apart=apart,
        thousands=lambda count: f"{count:,}",
    )
    return templates


@cache
def _asset(name: str) -> str:
    """The address of a static file, with its content's hash."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def in_bytes(count: float | None) -> str:
    """A size for people."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in {"B", "kB"} else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def in_seconds(seconds: float | None) -> str:
    """A length of time for people."""
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
    """A deviation in words, up to the pitch that it is from."""
    return f"{abs(cents):.1f} cents {'above' if cents > 0 else 'below'}"


def _moment(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _iso(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def origin(request: Request) -> str:
    """Scheme and host as the client sees them."""
    return str(request.base_url).rstrip("/")
