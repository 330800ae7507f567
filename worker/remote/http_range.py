"""Checks the status and headers of responses to Range requests for a job's audio.

Trusts no number that it can check against another one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.errors import SourceRefused, SourceUnavailable
from shared.outbound.retry_after import retry_after_seconds

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)
_RETRYABLE_STATUSES = {408, 425, 429}
_MAX_RETRY_AFTER_SECONDS = 3600.0

_CHANGED = "The file changed while it was read. Submit its URL again when it no longer changes."
_REFUSALS = {
    401: ("source_forbidden", "use a URL that needs no login, such as a presigned URL"),
    403: ("source_forbidden", "use a URL that allows reading; a presigned URL can expire"),
    404: ("source_not_found", "there is no file at this URL"),
    416: ("no_audio", "the file is empty"),
    410: ("source_not_found", "the file at this URL is gone"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """A Content-Range header: first and last offset and the size of the whole file, in bytes."""

    first: int
    last: int
    total: int

    @property
    def size(self) -> int:
        """Size of the range in bytes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Identifies a version of the file."""

    total: int
    etag: str | None
    last_modified: str | None

    @classmethod
    def of(cls, headers: Mapping[str, str], *, total: int) -> Self:
        """Return the version that a response belongs to."""
        return cls(total=total, etag=headers.get("etag"), last_modified=headers.get("last-modified"))

    @property
    def condition(self) -> dict[str, str]:
        """Return the If-Range header for this version. Weak ETags are not valid in it."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return {"If-Range": self.etag}
        if self.etag is None and self.last_modified is not None:
            return {"If-Range": self.last_modified}
        return {}


def check_status(status: int, headers: Mapping[str, str], *, now: float) -> None:
    """Raise SourceUnavailable or SourceRefused unless the response is a file or a range of it."""
    if status in (200, 206):
        _check_encoding(headers)
        return
    if status >= 500 or status in _RETRYABLE_STATUSES:
        retry_after = min(retry_after_seconds(status, headers, now=now), _MAX_RETRY_AFTER_SECONDS)
        raise SourceUnavailable(f"The server of the URL answered {status}.", retry_after_seconds=retry_after)
    if 300 <= status < 400:
        raise SourceRefused(
            f"The server of the URL answered {status}, a redirect. Use the final URL.",
            code="source_redirects",
        )
    if status < 300:
        raise bad_response(f"answered {status} instead of a file")
    code, advice = _REFUSALS.get(status, ("source_refused", "it does not provide the file"))
    raise SourceRefused(f"The server of the URL answered {status}: {advice}.", code=code)


def parse_content_range(headers: Mapping[str, str], *, first: int, last: int) -> ContentRange:
    """Return the range of a response if it is what was requested. Raises SourceRefused."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if match is None:
        raise bad_response("sent a part of the file without a valid Content-Range")
    content_range = ContentRange(first=int(match[1]), last=int(match[2]), total=int(match[3]))
    is_consistent = (
        content_range.first == first
        and first <= content_range.last <= last
        and content_range.last < content_range.total
    )
    declared = content_length(headers)
    if not is_consistent or (declared is not None and declared != content_range.size):
        raise bad_response("sent a different range than requested")
    return content_range


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return Content-Length if it is a valid number."""
    declared = headers.get("content-length", "").strip()
    return int(declared) if declared.isdecimal() and declared.isascii() and len(declared) < 19 else None


def bad_response(what: str) -> SourceRefused:
    """Return the error for a server that violates HTTP."""
    return SourceRefused(f"The server of the URL {what}.", code="source_bad_answer")


def source_changed() -> SourceRefused:
    """Return the error for a file that changed while it was read."""
    return SourceRefused(_CHANGED, code="source_changed", retryable=True)


def _check_encoding(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise bad_response("compresses the file unasked. Serve it without Content-Encoding")
