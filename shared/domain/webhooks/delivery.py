"""The delivery of one webhook to one URL, with all attempts. Pure: time and jitter are arguments.

    pending ──claim──> pending, leased ──record──> delivered | failed | pending, due later
    delivered, failed ──redeliver──> pending

An attempt counts when it begins, so that one that kills its sender counts as well. An expired lease makes the
delivery due again: each event is delivered at least once, always with the same id.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from shared.domain.open_enum import OpenEnum
from shared.domain.webhooks.events import EventType
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
"""Delays after the first, second… failed attempt: eleven attempts over three days."""
JITTER = 0.1
"""A delay is longer by up to this share, so that not all deliveries to a recovered receiver come at once."""
MAX_DELAY_SECONDS = 24 * HOUR
RESPONSE_BYTES = 1024
_MAX_ATTEMPTS_KEPT = 30


class DeliveryState(OpenEnum):
    """The state of a delivery."""

    PENDING = "pending"
    """Entered at creation, and by a redelivery; left by a 2xx response, or by the last failure."""
    DELIVERED = "delivered"
    """Entered by a 2xx response."""
    FAILED = "failed"
    """Entered when no attempt is left, the receiver responds 410, or the endpoint was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt and its result."""

    at: float
    milliseconds: int
    status: int | None = None
    """None: no response."""
    error: str | None = None
    response: str | None = None
    """The first 1024 bytes of the response."""
    is_internal: bool = False
    """Whether an allowed private network responded: then only the operator may see the response."""

    @property
    def accepted(self) -> bool:
        """Whether the response was 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the response was 410: the receiver wants no more."""
        return self.status == 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What to send, where to, and the result."""

    id: str
    """The `webhook-id`, over all attempts."""
    type: EventType
    url: str = field(repr=False)
    server: str
    """Host and port: the unit of concurrency limits."""
    body: str = field(repr=False)
    created_at: float
    owner: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None
    """None: the callback of one job."""
    secret: str | None = field(default=None, repr=False)
    """Of a caller without a key; None: the owner's secrets at each attempt."""
    version: int = 0
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    """Since creation or redelivery."""
    claims: int = 0
    """In total: the fencing token of the lease."""
    due_at: float | None = None
    """When pending: the earliest attempt. While leased: the end of the lease."""
    leased: bool = False
    ended_at: float | None = None
    why: str | None = None
    """Why it failed finally."""
    attempts: tuple[Attempt, ...] = ()
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    def claim(self, *, now: float, lease_seconds: float) -> Self:
        """Begin an attempt. Raises Conflict if it is not due, or leased."""
        if self.state is not DeliveryState.PENDING or self.due_at is None or self.due_at > now:
            raise Conflict("The delivery is not due.")
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
        attempts = (*held.attempts, attempt)[-_MAX_ATTEMPTS_KEPT:]
        held = replace(held, attempts=attempts, leased=False)
        if attempt.accepted:
            return replace(held, state=DeliveryState.DELIVERED, due_at=None, ended_at=now)
        if attempt.is_gone:
            return held._fail("The receiver responded 410 (Gone).", now)
        if held.tries > len(delays_seconds):
            return held._fail(f"None of {held.tries} attempts got a 2xx response.", now)
        pause = delays_seconds[held.tries - 1] * (1 + JITTER * jitter)
        return replace(held, due_at=now + min(max(pause, retry_after_seconds), MAX_DELAY_SECONDS))

    def drop(self, token: int, reason: str, *, now: float) -> Self:
        """End without an attempt. Raises LeaseLost."""
        return replace(self._held(token), leased=False)._fail(reason, now)

    def redeliver(self, *, now: float) -> Self:
        """Send again, with all attempts. Raises Conflict while it is being sent."""
        if self.leased:
            raise Conflict("The delivery is being sent. Try again in a few seconds.")
        return replace(self, state=DeliveryState.PENDING, tries=0, due_at=now, ended_at=None, why=None)

    def _fail(self, why: str, now: float) -> Self:
        return replace(self, state=DeliveryState.FAILED, due_at=None, ended_at=now, why=why)

    def _held(self, token: int) -> Self:
        if not self.leased or self.claims != token:
            raise LeaseLost("Another notifier has this delivery now.")
        return self


def delivery_id(event_id: str, receiver: str) -> str:
    """The same id for the same event and receiver, so that fanning out twice delivers once."""
    return "msg_" + hashlib.sha256(f"{event_id} {receiver}".encode()).hexdigest()[:32]
