"""A webhook endpoint of an API key, which is disabled after failing for too long. Pure."""

from dataclasses import dataclass, field, replace
from typing import Self

from shared.domain.webhooks.events import ALL_ENDS, EventType

DISABLED_AFTER_SECONDS = 3 * 24 * 3600.0
"""Of failures without a success in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver and its health."""

    id: str
    owner: str
    """The API key's id."""
    url: str = field(repr=False)
    events: tuple[EventType, ...] = ALL_ENDS
    description: str | None = None
    created_at: float
    failing_since: float | None = None
    disabled_at: float | None = None
    disabled_why: str | None = None
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    def record_success(self) -> Self:
        """Record a successful attempt."""
        return replace(self, failing_since=None)

    def record_failure(self, *, now: float) -> Self:
        """Record a failed attempt. Three days of failures disable the endpoint."""
        since = self.failing_since if self.failing_since is not None else now
        failing = replace(self, failing_since=since)
        if now - since >= DISABLED_AFTER_SECONDS:
            return failing.disable("It failed for three days.", now=now)
        return failing

    def record_gone(self, *, now: float) -> Self:
        """Record a 410 response, which disables the endpoint."""
        return self.disable("It responded 410 (Gone).", now=now)

    def disable(self, reason: str, *, now: float) -> Self:
        """Stop sending to it."""
        if self.disabled_at is not None:
            return self
        return replace(self, disabled_at=now, disabled_why=reason)

    def enable(self) -> Self:
        """Send to it again."""
        return replace(self, failing_since=None, disabled_at=None, disabled_why=None)
