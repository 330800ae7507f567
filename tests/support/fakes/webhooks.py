"""What webhooks need from outside, in memory. Each fake passes the contract suite of the real thing."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import EventType, Secrets, WebhookEvent
from shared.errors import NotFound
from shared.outbound.address_rules import HttpResponse
from shared.ports.webhooks import DeliveryQuery


def make_delivery(number: int = 1, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": EventType.SUCCEEDED,
        "url": "https://hooks.example/a?token=t0psecret",
        "server": "hooks.example",
        "body": '{"type":"job.succeeded"}',
        "created_at": float(number),
        "job_id": "job-1",
        "secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
        "due_at": 10.0,
    }
    return Delivery(**fields | changes)


def make_endpoint(number: int = 1, **changes: Any) -> Endpoint:
    fields: dict[str, Any] = {
        "id": f"ep_{number}",
        "owner": "key-1",
        "url": "https://hooks.example/a?token=t0psecret",
        "created_at": float(number),
    }
    return Endpoint(**fields | changes)


def make_event(number: int = 1, **changes: Any) -> WebhookEvent:
    fields: dict[str, Any] = {
        "id": f"evt_{number}",
        "type": EventType.SUCCEEDED,
        "at": float(number),
        "job_id": "job-1",
        "owner": "key-1",
        "callback": None,
        "body": '{"type":"job.succeeded"}',
    }
    return WebhookEvent(**fields | changes)


class MemoryDeliveryStore:
    def __init__(self) -> None:
        self.outbox: dict[str, WebhookEvent] = {}
        self.deliveries: dict[str, Delivery] = {}
        self._lock = threading.RLock()

    def happen(self, event: WebhookEvent) -> None:
        """What the outbox of a job store does."""
        self.outbox[event.id] = event

    def pending_events(self, *, limit: int) -> tuple[WebhookEvent, ...]:
        return tuple(sorted(self.outbox.values(), key=lambda event: (event.at, event.id))[:limit])

    def fan_out(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        with self._lock:
            if self.outbox.pop(event.id, None) is not None:
                for delivery in deliveries:
                    self.add(delivery)

    def add(self, delivery: Delivery) -> None:
        self.deliveries[delivery.id] = replace(delivery, version=1)

    def get(self, delivery_id: str) -> Delivery:
        try:
            return self.deliveries[delivery_id]
        except KeyError:
            raise NotFound("There is no such delivery. It may have expired.") from None

    def change(self, delivery_id: str, step: Callable[[Delivery], Delivery]) -> Delivery:
        with self._lock:
            old = self.get(delivery_id)
            new = step(old)
            if new != old:
                new = replace(new, version=old.version + 1)
            self.deliveries[delivery_id] = new
            return new

    def due(
        self, *, now: float, max_per_server: int, excluded_servers: Collection[str], limit: int
    ) -> tuple[Delivery, ...]:
        waiting: dict[str, list[Delivery]] = {}
        for one in sorted(self.deliveries.values(), key=lambda one: (one.due_at or 0.0, one.id)):
            due = one.state is DeliveryState.PENDING and one.due_at is not None and one.due_at <= now
            if due and one.server not in excluded_servers:
                waiting.setdefault(one.server, []).append(one)
        ranked = [(rank, one) for due in waiting.values() for rank, one in enumerate(due[:max_per_server])]
        return tuple(one for _, one in sorted(ranked, key=lambda pair: pair[0])[:limit])

    def delete_all_about(self, subject_id: str) -> None:
        with self._lock:
            self.deliveries = {
                one.id: one
                for one in self.deliveries.values()
                if subject_id not in {one.job_id, one.batch_id}
            }

    def page(self, query: DeliveryQuery) -> tuple[Delivery, ...]:
        found = [
            one
            for one in self.deliveries.values()
            if (query.job_id is None or one.job_id == query.job_id)
            and (query.batch_id is None or one.batch_id == query.batch_id)
            and (query.endpoint_id is None or one.endpoint_id == query.endpoint_id)
            and (query.owner is None or one.owner == query.owner)
            and (query.since is None or one.created_at >= query.since)
        ]
        return tuple(sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)[: query.limit])


class MemoryEndpointStore:
    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self._secrets: dict[str, Secrets] = {}
        self._lock = threading.RLock()

    def add(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.id] = endpoint

    def get(self, endpoint_id: str) -> Endpoint:
        try:
            return self.endpoints[endpoint_id]
        except KeyError:
            raise NotFound("There is no such endpoint.") from None

    def change(self, endpoint_id: str, step: Callable[[Endpoint], Endpoint]) -> Endpoint:
        with self._lock:
            self.endpoints[endpoint_id] = step(self.get(endpoint_id))
            return self.endpoints[endpoint_id]

    def remove(self, endpoint_id: str) -> None:
        self.endpoints.pop(endpoint_id, None)

    def list_for_owner(self, owner: str) -> tuple[Endpoint, ...]:
        return tuple(one for one in self.list_all() if one.owner == owner)

    def list_all(self) -> tuple[Endpoint, ...]:
        return tuple(sorted(self.endpoints.values(), key=lambda one: (one.created_at, one.id)))

    def secrets(self, owner: str, step: Callable[[Secrets], Secrets] = lambda secrets: secrets) -> Secrets:
        with self._lock:
            self._secrets[owner] = step(self._secrets.get(owner) or Secrets.new(now=time.time()))
            return self._secrets[owner]


@dataclass
class SentRequest:
    url: str
    headers: Mapping[str, str]
    content: bytes


@dataclass
class MemoryHttpSender:
    """Answers every request as told: with an answer, or by raising."""

    answer: HttpResponse | Exception = field(
        default_factory=lambda: HttpResponse(status=204, headers={}, body=b"", is_internal=False)
    )
    sent: list[SentRequest] = field(default_factory=list)

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
        self.sent.append(SentRequest(url, headers, content))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
