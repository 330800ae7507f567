"""Where the audio of a job lies that we do not store: on somebody else's server. Pure.

The address may hold secrets. It is for the worker that fetches, and for no view and no log.
"""

from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An address that a client gave."""

    server: str
    """Scheme, host and port: what may be shown."""
    url: str | None = field(repr=False)
    """None: forgotten, since nobody is going to fetch from it again."""
    misses: int = 0
    """How often its server was away when an attempt wanted it."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The source at a checked address."""
        parts = urlsplit(url)
        return cls(server=f"{parts.scheme}://{parts.netloc}", url=url)

    def count_unavailable(self) -> Self:
        """Its server was away once more."""
        return replace(self, misses=self.misses + 1)

    def reset_unavailable(self) -> Self:
        """Count anew how often its server is away."""
        return replace(self, misses=0)

    def forget_url(self) -> Self:
        """The same without its address."""
        return replace(self, url=None)
