"""Compresses text. Streams of events are never compressed: a compressor would hold events back."""

import gzip
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MIN_BYTES = 1000
_LEVEL = 6
"""A page in about a millisecond; higher levels save 1 % and take twice as long."""
_MAX_CACHED_FILES = 64


class Compression:
    """Middleware: gzip for clients that accept it, and a weak ETag for what was compressed (RFC 9110)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = GZipMiddleware(app, minimum_size=_MIN_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""

        async def send_with_weak_etag(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                etag = headers.get("etag", "W/")
                if headers.get("content-encoding") == "gzip" and not etag.startswith("W/"):
                    headers["etag"] = f"W/{etag}"
            await send(message)

        await self._app(scope, receive, send_with_weak_etag)


def accepts_gzip(scope: Scope) -> bool:
    """Whether the client of a request accepts gzip."""
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


@lru_cache(maxsize=_MAX_CACHED_FILES)
def compressed_file(path: Path) -> bytes:
    """A static file, compressed once in each process. Blocking: half a second for the API reference."""
    return gzip.compress(path.read_bytes(), 9, mtime=0)
