"""What we need from outside to say who may do what, how much of it, and to count it.

Every method may raise Unavailable.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.api_key import ApiKey


class ApiKeyStore(Protocol):
    """Who may do what."""

    def add(self, key: ApiKey) -> None:
        """Record a new key. Raises Conflict if its id is taken."""

    def find(self, key_id: str) -> ApiKey | None:
        """The key of this id, revoked or not; None where there is none."""

    def list_all(self) -> tuple[ApiKey, ...]:
        """Every key, the newest first."""

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """End a key; the first revocation counts. Raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So much in so long, for each subject."""

    name: str
    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of a quota."""

    allowed: bool
    remaining: int
    reset_seconds: int
    """Until there is more."""


class RateLimiter(Protocol):
    """How much everybody has had. A subject is an API key or an address."""

    def consume(self, quota: Quota, subject: str) -> Allowance:
        """Count one if it fits."""

    def charge(self, quota: Quota, subject: str, amount: int) -> None:
        """Count what has been had already, whether it fits or not."""

    def peek(self, quota: Quota, subject: str) -> Allowance:
        """What is left of a quota that is charged; `fits`: something is."""

    def acquire_slot(self, kind: str, subject: str, slot_id: str, *, limit: int, ttl_seconds: float) -> bool:
        """Take one of `most` places, or keep it for longer. It is free again after so many seconds."""

    def list_slots(self, kind: str, subject: str) -> tuple[str, ...]:
        """The places that a subject holds, the oldest first."""

    def release_slot(self, kind: str, subject: str, slot_id: str) -> None:
        """Free a place, whether it is held or not."""
