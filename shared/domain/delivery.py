"""One webhook on its way to one address, and every attempt at it. Pure: time and chance are arguments.

    pending ──claim──> pending, leased ──record──> delivered | failed | pending, due later
    delivered, failed ──redeliver──> pending

An attempt is counted when it begins, so that one that kills its sender counts as well. A lease that ran out
makes the delivery due again: whatever happens to a sender, its delivery comes, perhaps twice, with one id.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from shared.domain.webhook import EventType
from shared.errors import Conflict, LeaseLost

HOUR = 3600.0
RETRY_DELAYS_SECONDS = (
    5.0,
    60.0,
    300.0,
    1800.0,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    20 * HOUR,
)
"""Pauses after the first, second… failed attempt: eleven attempts over three days."""
JITTER = 0.1
"""A pause is up to so much longer, as a share: receivers that came back are not all called at once."""
MAX_DELAY_SECONDS = 24 * HOUR
RESPONSE_BYTES = 1024
_MOST_ATTEMPTS_KEPT = 30


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    """Entered when it is made, and by a redelivery; left by its receiver's yes, or by the last failure."""
    DELIVERED = "delivered"
    """Entered by an answer of 2xx."""
    FAILED = "failed"
    """Entered when no attempt is left, when the receiver answers 410, or its endpoint is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try, as it went."""

    at: float
    milliseconds: int
    status: int | None = None
    """None: no answer came."""
    error: str | None = None
    response: str | None = None
    """The answer's first 1024 bytes."""
    is_internal: bool = False
    """Whether an allowed network answered: its words are for the operator alone."""

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more, ever."""
        return self.status == 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is to be sent, where to, and what became of it."""

    id: str
    """The `webhook-id`, over all attempts."""
    type: EventType
    url: str = field(repr=False)
    server: str
    """Host and port: what is bounded and waited for as one."""
    body: str = field(repr=False)
    created_at: float
    owner: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None
    """None: the callback of one job."""
    secret: str | None = field(default=None, repr=False)
    """Of a caller without a key; None: the owner's secrets, as they are at each attempt."""
    version: int = 0
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    """Since it was made or redelivered."""
    claims: int = 0
    """Ever: the fencing token of the lease."""
    due_at: float | None = None
    """When pending: not to be tried before. While leased: when the lease ends."""
    leased: bool = False
    ended_at: float | None = None
    why: str | None = None
    """Why it failed for good."""
    attempts: tuple[Attempt, ...] = ()

    def claim(self, *, now: float, lease_seconds: float) -> Self:
        """Begin an attempt. Raises Conflict if it is not due, or somebody else's."""
        if self.state is not DeliveryState.PENDING or self.due_at is None or self.due_at > now:
            raise Conflict("This delivery is not due.")
        return replace(
            self, tries=self.tries + 1, claims=self.claims + 1, leased=True, due_at=now + lease_seconds
        )

    def record(
        self,
        token: int,
        attempt: Attempt,
        *,
        now: float,
        delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        jitter: float,
        retry_after_seconds: float = 0.0,
    ) -> Self:
        """End an attempt. `chance` from 0 to 1 spreads the next ones. Raises LeaseLost."""
        held = self._held(token)
        attempts = (*held.attempts, attempt)[-_MOST_ATTEMPTS_KEPT:]
        held = replace(held, attempts=attempts, leased=False)
        if attempt.accepted:
            return replace(held, state=DeliveryState.DELIVERED, due_at=None, ended_at=now)
        if attempt.is_gone:
            return held._fail("The receiver answered 410: it wants no more.", now)
        if held.tries > len(delays_seconds):
            return held._fail(f"No attempt of {held.tries} was answered with 2xx.", now)
        pause = delays_seconds[held.tries - 1] * (1 + JITTER * jitter)
        return replace(held, due_at=now + min(max(pause, retry_after_seconds), MAX_DELAY_SECONDS))

    def drop(self, token: int, reason: str, *, now: float) -> Self:
        """End without an attempt. Raises LeaseLost."""
        return replace(self._held(token), leased=False)._fail(reason, now)

    def redeliver(self, *, now: float) -> Self:
        """Send again, with all attempts anew. Raises Conflict while it is on its way."""
        if self.leased:
            raise Conflict("This delivery is being sent right now.")
        return replace(self, state=DeliveryState.PENDING, tries=0, due_at=now, ended_at=None, why=None)

    def _fail(self, why: str, now: float) -> Self:
        return replace(self, state=DeliveryState.FAILED, due_at=None, ended_at=now, why=why)

    def _held(self, token: int) -> Self:
        if not self.leased or self.claims != token:
            raise LeaseLost("The delivery is no longer this sender's.")
        return self


def delivery_id(event_id: str, receiver: str) -> str:
    """The same for the same event and receiver, so that an event spread twice is delivered once."""
    return "msg_" + hashlib.sha256(f"{event_id} {receiver}".encode()).hexdigest()[:32]
