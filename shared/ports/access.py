"""API keys and rate limits. Every method may raise Unavailable."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.api_key import ApiKey


class ApiKeyStore(Protocol):
    """API keys."""

    def add(self, key: ApiKey) -> None:
        """Record a new key. Raises Conflict if its id is taken."""

    def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, revoked or not; None if there is none."""

    def list_all(self) -> tuple[ApiKey, ...]:
        """All keys, newest first."""

    def mark_used(self, key_id: str, *, now: float) -> None:
        """Record when a key was last used."""

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """Revoke a key. The first revocation counts. Raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A limit per subject and window."""

    name: str
    limit: int
    window_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What remains of a quota."""

    allowed: bool
    remaining: int
    reset_seconds: int
    """Until more is available."""


class RateLimiter(Protocol):
    """Counts what each subject uses. A subject is an API key or an address."""

    def consume(self, quota: Quota, subject: str) -> Allowance:
        """Use one of a quota if one remains."""

    def charge(self, quota: Quota, subject: str, amount: int) -> None:
        """Add what was used already, even beyond the limit."""

    def peek(self, quota: Quota, subject: str) -> Allowance:
        """What remains of a quota that is charged; `allowed` means that something does."""

    def acquire_slot(self, kind: str, subject: str, slot_id: str, *, limit: int, ttl_seconds: float) -> bool:
        """Acquire or extend one of *limit* slots. It is released by itself after *ttl_seconds*."""

    def list_slots(self, kind: str, subject: str) -> tuple[str, ...]:
        """The slots that a subject holds, the first to expire first."""

    def release_slot(self, kind: str, subject: str, slot_id: str) -> None:
        """Release a slot if it is held."""
