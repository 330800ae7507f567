"""Webhook deliveries, endpoints, and the HTTP client. Every method may raise Unavailable."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.webhooks.delivery import Delivery
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import Secrets, WebhookEvent
from shared.outbound.address_rules import HttpResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list, newest first. Set exactly one of the first four fields."""

    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None
    owner: str | None = None
    since: float | None = None
    """Only deliveries created at or after this time."""
    limit: int = 50


class DeliveryStore(Protocol):
    """The outbox of events, and the deliveries made from them."""

    def pending_events(self, *, limit: int) -> tuple[WebhookEvent, ...]:
        """The oldest events that have no deliveries yet."""

    def fan_out(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        """Replace an event by its deliveries, atomically. Calling it twice changes nothing."""

    def add(self, delivery: Delivery) -> None:
        """Record a delivery that no event caused."""

    def get(self, delivery_id: str) -> Delivery:
        """A delivery as it is now. Raises NotFound."""

    def change(self, delivery_id: str, step: Callable[[Delivery], Delivery]) -> Delivery:
        """Apply a pure step atomically. Raises NotFound, and what the step raises."""

    def due(
        self, *, now: float, max_per_server: int, excluded_servers: Collection[str], limit: int
    ) -> tuple[Delivery, ...]:
        """Deliveries that are due, from as many servers as possible."""

    def delete_all_about(self, subject_id: str) -> None:
        """Delete every delivery about a job or a batch, sent or not."""

    def page(self, query: DeliveryQuery) -> tuple[Delivery, ...]:
        """A list of deliveries."""


class EndpointStore(Protocol):
    """The webhook endpoints and signing secrets of API keys."""

    def add(self, endpoint: Endpoint) -> None:
        """Record a new endpoint."""

    def get(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""

    def change(self, endpoint_id: str, step: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Apply a pure step atomically. Raises NotFound."""

    def remove(self, endpoint_id: str) -> None:
        """Delete the endpoint if it exists."""

    def list_for_owner(self, owner: str) -> tuple[Endpoint, ...]:
        """The endpoints of one API key, the oldest first."""

    def list_all(self) -> tuple[Endpoint, ...]:
        """The endpoints of all keys, the oldest first."""

    def secrets(self, owner: str, step: Callable[[Secrets], Secrets] = lambda secrets: secrets) -> Secrets:
        """The signing secrets of a key, after a step. Created when they are first read."""


class HttpSender(Protocol):
    """Sends HTTP requests to servers of other people, if their addresses are allowed."""

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
        """Send one request and follow no redirect. Raises AddressRefused, Unreachable."""
