"""What the server of a job's audio answers, and whether that gives us the file. Pure.

Believes no number that it can check against another one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.errors import SourceRefused, SourceUnavailable
from shared.outbound.retry_after import retry_after_seconds

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)
_AWAY = {408, 425, 429}
_LONGEST_PAUSE_SECONDS = 3600.0

CHANGED = "The file was changed while it was read; send its address again, once it stands still."
_REFUSALS = {
    401: ("source_forbidden", "give an address that needs no login, such as a signed one"),
    403: ("source_forbidden", "give an address that may be read; a signed one may have expired"),
    404: ("source_not_found", "there is nothing at this address"),
    416: ("no_audio", "the file is empty"),
    410: ("source_not_found", "there is nothing at this address any more"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a file, as Content-Range has it."""

    first: int
    last: int
    total: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What tells one version of the file from another."""

    total: int
    etag: str | None
    last_modified: str | None

    @classmethod
    def of(cls, headers: Mapping[str, str], *, total: int) -> Self:
        """The version that an answer is of."""
        return cls(total=total, etag=headers.get("etag"), last_modified=headers.get("last-modified"))

    @property
    def condition(self) -> dict[str, str]:
        """The header that asks for a range of this version only. A weak ETag is none for that."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return {"If-Range": self.etag}
        if self.etag is None and self.last_modified is not None:
            return {"If-Range": self.last_modified}
        return {}


def refuse_status(status: int, headers: Mapping[str, str], *, now: float) -> None:
    """Raise SourceUnavailable or SourceRefused unless the answer is a file or a piece of one."""
    if status in (200, 206):
        _refuse_encoded(headers)
        return
    if status >= 500 or status in _AWAY:
        pause = min(retry_after_seconds(status, headers, now=now), _LONGEST_PAUSE_SECONDS)
        raise SourceUnavailable(f"The address's server answered {status}.", retry_after_seconds=pause)
    if 300 <= status < 400:
        raise SourceRefused(
            f"The address's server answered {status}, which leads to another address; give the final one.",
            code="source_redirects",
        )
    if status < 300:
        raise bad_answer(f"answered {status} instead of a file")
    code, advice = _REFUSALS.get(status, ("source_refused", "it does not give the file"))
    raise SourceRefused(f"The address's server answered {status}: {advice}.", code=code)


def part_of(headers: Mapping[str, str], *, first: int, last: int) -> Part:
    """The piece that came, if it is what was asked for. Raises SourceRefused."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        raise bad_answer("sent a piece of the file without saying which")
    part = Part(first=int(found[1]), last=int(found[2]), total=int(found[3]))
    sane = part.first == first and first <= part.last <= last and part.last < part.total
    declared = declared_bytes(headers)
    if not sane or (declared is not None and declared != part.size):
        raise bad_answer("sent another piece of the file than was asked for")
    return part


def declared_bytes(headers: Mapping[str, str]) -> int | None:
    """Content-Length, where it is a number."""
    declared = headers.get("content-length", "").strip()
    return int(declared) if declared.isdecimal() and declared.isascii() and len(declared) < 19 else None


def bad_answer(what: str) -> SourceRefused:
    """The problem of a server that does not keep to HTTP."""
    return SourceRefused(f"The address's server {what}.", code="source_bad_answer")


def changed() -> SourceRefused:
    """The problem of a file that is another one by now."""
    return SourceRefused(CHANGED, code="source_changed", retryable=True)


def _refuse_encoded(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise bad_answer("compresses what it sends though it was asked not to; let it send the file as it is")
