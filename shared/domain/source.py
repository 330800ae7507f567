"""The URL of audio that is not in our storage. Pure.

The URL may contain secrets. Only the worker that fetches it may see it: it must not be shown or logged.
"""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source URL from a client."""

    server: str
    """Scheme, host and port: what may be shown."""
    url: str | None = field(repr=False)
    """None: deleted, because no attempt needs it any more."""
    misses: int = 0
    """How many attempts found its server unavailable."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The source of a checked URL."""
        parts = urlsplit(url)
        return cls(server=f"{parts.scheme}://{parts.netloc}", url=url)

    def count_unavailable(self) -> Self:
        """Count an attempt that found the server unavailable."""
        return replace(self, misses=self.misses + 1)

    def reset_unavailable(self) -> Self:
        """Start the count of unavailable attempts again at 0."""
        return replace(self, misses=0)

    def forget_url(self) -> Self:
        """The same without its URL."""
        return replace(self, url=None)
