"""What webhooks need from outside, beside `ports.py`. Every method may raise Unavailable."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.delivery import Delivery
from shared.domain.endpoint import Endpoint
from shared.domain.webhook import Secrets, WebhookEvent
from shared.outbound.address_rules import HttpResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list, newest first. Exactly one of the first four is given."""

    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None
    owner: str | None = None
    since: float | None = None
    """Only those made at or after a time."""
    limit: int = 50


class DeliveryStore(Protocol):
    """The outbox: events that were written with what they tell of, and the deliveries made of them."""

    def pending_events(self, *, limit: int) -> tuple[WebhookEvent, ...]:
        """The oldest that are not spread yet."""

    def fan_out(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        """Replace an event by its deliveries, atomically, once however often it is called."""

    def add(self, delivery: Delivery) -> None:
        """Record one that follows from no event of a job."""

    def get(self, delivery_id: str) -> Delivery:
        """A delivery as it is now. Raises NotFound."""

    def change(self, delivery_id: str, step: Callable[[Delivery], Delivery]) -> Delivery:
        """Apply a pure step atomically. Raises NotFound, and what it raises."""

    def due(
        self, *, now: float, max_per_server: int, excluded_servers: Collection[str], limit: int
    ) -> tuple[Delivery, ...]:
        """What is due, from as many servers as possible, at most so many from each; none from some."""

    def delete_all_about(self, subject_id: str) -> None:
        """Delete every delivery about a job or a batch, and what it says, sent or not."""

    def page(self, query: DeliveryQuery) -> tuple[Delivery, ...]:
        """A list of deliveries."""


class EndpointStore(Protocol):
    """Who hears of an API key's jobs, and what is signed with."""

    def add(self, endpoint: Endpoint) -> None:
        """Record a new endpoint."""

    def get(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""

    def change(self, endpoint_id: str, step: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Apply a pure step atomically. Raises NotFound."""

    def remove(self, endpoint_id: str) -> None:
        """Forget it, whether it is there or not."""

    def list_for_owner(self, owner: str) -> tuple[Endpoint, ...]:
        """The endpoints of one API key, the oldest first."""

    def list_all(self) -> tuple[Endpoint, ...]:
        """Everybody's, for the operator."""

    def secrets(self, owner: str, step: Callable[[Secrets], Secrets] = lambda secrets: secrets) -> Secrets:
        """What the key's webhooks are signed with, after a step; made at the first look."""


class HttpSender(Protocol):
    """Calls other people's servers, where that is allowed."""

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout_seconds: float,
        max_bytes: int,
        allow_http: bool = False,
    ) -> HttpResponse:
        """One request, never redirected. Raises AddressRefused, Unreachable."""
