"""What people do to webhooks, whether by the API or in the dashboard. Blocking; knows no route."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from api.access.authentication import Caller
from api.config import CheckUrl
from api.webhooks.callback import checked
from shared.domain.batch import Batch
from shared.domain.delivery import Delivery, DeliveryState
from shared.domain.endpoint import Endpoint
from shared.domain.job import Job
from shared.domain.webhook import ALL_ENDS, ALL_EVENTS, EventType, Secrets, event_body, parse_events
from shared.errors import BadRequest, Conflict, NotFound, Unauthenticated
from shared.observability.logs import get_logger
from shared.ports.webhooks import DeliveryQuery, DeliveryStore, EndpointStore

_log = get_logger(__name__)

MOST_ENDPOINTS = 20
MOST_REDELIVERED = 1000
BY_HAND = "It was disabled by hand."
_LONGEST_DESCRIPTION = 200
_SENDER_SECONDS = 60.0
"""An event that waits for longer has no sender to spread it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookService:
    """Every act is for one API key, and sees nothing of another."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    check_url: CheckUrl

    def create(self, owner: str, *, url: str, events: Sequence[str], description: str | None) -> Endpoint:
        """Register an address. Raises AddressRefused, BadRequest, Conflict."""
        if len(self.endpoints.list_for_owner(owner)) >= MOST_ENDPOINTS:
            raise Conflict(f"An API key has at most {MOST_ENDPOINTS} webhooks; delete one first.")
        endpoint = Endpoint(
            id="ep_" + secrets.token_hex(8),
            owner=owner,
            url=checked(url, check_url=self.check_url),
            events=_parsed(events),
            description=_described(description),
            created_at=time.time(),
        )
        self.endpoints.add(endpoint)
        return endpoint

    def get(self, owner: str, endpoint_id: str) -> Endpoint:
        """One of the key's own. Raises NotFound."""
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint.owner != owner:
            raise NotFound("There is no such endpoint.")
        return endpoint

    def change(
        self,
        owner: str,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Change what is not None. Raises AddressRefused, BadRequest, NotFound."""
        self.get(owner, endpoint_id)
        changes: dict[str, object] = {}
        if url is not None:
            changes["url"] = checked(url, check_url=self.check_url)
        if events is not None:
            changes["events"] = _parsed(events)
        if description is not None:
            changes["description"] = _described(description)

        def step(endpoint: Endpoint) -> Endpoint:
            if enabled is True:
                endpoint = endpoint.enable()
            elif enabled is False:
                endpoint = endpoint.disable(BY_HAND, now=time.time())
            return replace(endpoint, **changes)  # type: ignore[arg-type]

        return self.endpoints.change(endpoint_id, step)

    def delete(self, owner: str, endpoint_id: str) -> None:
        """Forget it; what is on its way there is dropped. Raises NotFound."""
        self.get(owner, endpoint_id)
        self.endpoints.remove(endpoint_id)

    def test(self, owner: str, endpoint_id: str) -> Delivery:
        """Send it an event of no job. Raises NotFound."""
        endpoint = self.get(owner, endpoint_id)
        now = time.time()
        delivery = Delivery(
            id="msg_" + secrets.token_hex(16),
            type=EventType.TEST,
            url=endpoint.url,
            server=urlsplit(endpoint.url).netloc,
            body=event_body(EventType.TEST, {"endpoint_id": endpoint.id}, at=now),
            created_at=now,
            owner=owner,
            endpoint_id=endpoint.id,
            due_at=now,
        )
        self.deliveries.add(delivery)
        return delivery

    def log(
        self, owner: str, *, endpoint_id: str | None, since: float | None, limit: int
    ) -> tuple[Delivery, ...]:
        """What was sent for the key, or to one of its endpoints, newest first. Raises NotFound."""
        if endpoint_id is None:
            return self.deliveries.page(DeliveryQuery(owner=owner, since=since, limit=limit))
        self.get(owner, endpoint_id)
        return self.deliveries.page(DeliveryQuery(endpoint_id=endpoint_id, since=since, limit=limit))

    def of_job(self, job: Job) -> tuple[Delivery, ...]:
        """What was sent about a job."""
        if job.callback is None and job.owner is None:
            return ()
        return self.deliveries.page(DeliveryQuery(job_id=job.id, limit=50))

    def of_batch(self, batch: Batch) -> tuple[Delivery, ...]:
        """What was sent about a batch, but not about its jobs."""
        if batch.callback is None and batch.owner is None:
            return ()
        return self.deliveries.page(DeliveryQuery(batch_id=batch.id, limit=50))

    def redeliver(self, delivery_id: str, *, owner: str | None = None, job_id: str | None = None) -> Delivery:
        """Send one again, under its old id. Raises Conflict, NotFound."""
        delivery = self.deliveries.get(delivery_id)
        theirs = delivery.owner == owner if owner is not None else delivery.job_id == job_id is not None
        if not theirs:
            raise NotFound("There is no such delivery. It may have expired.")
        return self.redeliver_any(delivery_id)

    def redeliver_any(self, delivery_id: str) -> Delivery:
        """Send a delivery again, whoever its owner is. Raises Conflict, NotFound."""
        return self.deliveries.change(delivery_id, lambda one: one.redeliver(now=time.time()))

    def redeliver_since(self, owner: str, *, since: float, endpoint_id: str | None) -> tuple[int, bool]:
        """Send all that failed since a time again; how many, and whether there are more. Raises NotFound."""
        found = self.log(owner, endpoint_id=endpoint_id, since=since, limit=10 * MOST_REDELIVERED)
        failed = [one for one in found if one.state is DeliveryState.FAILED]
        for one in failed[:MOST_REDELIVERED]:
            try:
                self.deliveries.change(one.id, lambda one: one.redeliver(now=time.time()))
            except (Conflict, NotFound):
                continue  # on its way already, or expired meanwhile
        _log.info("webhooks_redelivered", owner=owner, count=len(failed[:MOST_REDELIVERED]))
        return len(failed[:MOST_REDELIVERED]), len(failed) > MOST_REDELIVERED

    def secrets(self, owner: str) -> Secrets:
        """What the key's webhooks are signed with."""
        return self.endpoints.secrets(owner)

    def rotate(self, owner: str, *, overlap_seconds: float) -> Secrets:
        """A new secret, beside the one so far for a while."""
        return self.endpoints.secrets(
            owner, lambda one: one.rotate(now=time.time(), overlap_seconds=overlap_seconds)
        )


def webhook_warnings(deliveries: DeliveryStore, endpoints: EndpointStore, *, now: float) -> list[str]:
    """What the operator should know of everybody's webhooks, in sentences for the dashboard."""
    said = [
        f"The webhook {one.id} of the API key {one.owner} is disabled: {one.disabled_why}"
        for one in endpoints.list_all()
        if one.disabled_at is not None and one.disabled_why != BY_HAND
    ]
    waiting = deliveries.pending_events(limit=1)
    if waiting and waiting[0].at < now - _SENDER_SECONDS:
        said.append("Webhooks wait for a sender: start `python -m worker.webhooks`.")
    return said


def owner_of(caller: Caller) -> str:
    """Whose webhooks are meant. Raises Unauthenticated for a caller without an API key."""
    if caller.key_id is None:
        raise Unauthenticated(
            "Webhooks are registered for an API key: send Authorization: Bearer kam_…, "
            "or give `callback_url` with each job."
        )
    return caller.key_id


def _parsed(events: Sequence[str]) -> tuple[EventType, ...]:
    return parse_events(events, known=ALL_EVENTS, default=ALL_ENDS)


def _described(text: str | None) -> str | None:
    text = " ".join((text or "").split())
    if len(text) > _LONGEST_DESCRIPTION or not text.isprintable():
        raise BadRequest(f"Give a printable description of at most {_LONGEST_DESCRIPTION} characters.")
    return text or None
