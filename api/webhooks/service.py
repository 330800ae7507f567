"""Registers webhook endpoints, and reads and repeats deliveries."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.url_checker import UrlChecker
from api.webhooks.callback import check_callback_url
from api.webhooks.schemas import CreateEndpoint, UpdateEndpoint
from shared.clock import store_time
from shared.domain.batch import Batch
from shared.domain.job import Job
from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import ALL_ENDS, ALL_EVENTS, EventType, Secrets, event_body, parse_events
from shared.errors import BadRequest, Conflict, NotFound, Unauthenticated
from shared.observability.logs import get_logger
from shared.ports.webhooks import DeliveryQuery, DeliveryStore, EndpointStore

_log = get_logger(__name__)

MAX_ENDPOINTS = 20
MAX_REDELIVERED = 1000
BY_HAND = "It was disabled by hand."
_MAX_DESCRIPTION_LENGTH = 200
_MAX_EVENT_AGE_SECONDS = 60.0
"""If an event waits longer, no dispatcher is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookService:
    """Acts for one API key at a time, and sees nothing of another's. What is not async is blocking."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    urls: UrlChecker

    async def create(self, caller: Caller, new: CreateEndpoint) -> Endpoint:
        """Register an endpoint. Raises AddressRefused, BadRequest, Conflict, Overloaded, Unauthenticated."""
        owner = owner_of(caller)
        url = await check_callback_url(new.url, caller, self.urls)
        return await run_in_threadpool(self._add, owner, new, url)

    def _add(self, owner: str, new: CreateEndpoint, url: str) -> Endpoint:
        if len(self.endpoints.list_for_owner(owner)) >= MAX_ENDPOINTS:
            raise Conflict(f"An API key has at most {MAX_ENDPOINTS} webhooks. Delete one first.")
        endpoint = Endpoint(
            id="ep_" + secrets.token_hex(8),
            owner=owner,
            url=url,
            events=_parse_events(new.events or ()),
            description=_clean_description(new.description),
            created_at=store_time(),
        )
        self.endpoints.add(endpoint)
        return endpoint

    def get(self, owner: str, endpoint_id: str) -> Endpoint:
        """Return an endpoint of the API key. Raises NotFound."""
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint.owner != owner:
            raise NotFound("This endpoint does not exist.")
        return endpoint

    async def update(self, caller: Caller, endpoint_id: str, update: UpdateEndpoint) -> Endpoint:
        """Change the fields that are not None. Raises as `create`, and NotFound."""
        owner = owner_of(caller)
        await run_in_threadpool(self.get, owner, endpoint_id)
        url = None if update.url is None else await check_callback_url(update.url, caller, self.urls)
        return await run_in_threadpool(self._change, endpoint_id, update, url)

    def _change(self, endpoint_id: str, update: UpdateEndpoint, url: str | None) -> Endpoint:
        changes: dict[str, object] = {} if url is None else {"url": url}
        if update.events is not None:
            changes["events"] = _parse_events(update.events)
        if update.description is not None:
            changes["description"] = _clean_description(update.description)

        def step(endpoint: Endpoint) -> Endpoint:
            if update.enabled is True:
                endpoint = endpoint.enable()
            elif update.enabled is False:
                endpoint = endpoint.disable(BY_HAND, now=store_time())
            return replace(endpoint, **changes)  # type: ignore[arg-type]

        return self.endpoints.change(endpoint_id, step)

    def delete(self, owner: str, endpoint_id: str) -> None:
        """Delete an endpoint and its pending deliveries. Raises NotFound."""
        self.get(owner, endpoint_id)
        self.endpoints.remove(endpoint_id)

    def test(self, owner: str, endpoint_id: str) -> Delivery:
        """Send an endpoint a `webhook.test` event. Raises NotFound."""
        endpoint = self.get(owner, endpoint_id)
        now = store_time()
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

    def list_deliveries(
        self, owner: str, *, endpoint_id: str | None, since: float | None, limit: int
    ) -> tuple[Delivery, ...]:
        """Return the deliveries of the API key or of one endpoint, newest first. Raises NotFound."""
        if endpoint_id is None:
            return self.deliveries.page(DeliveryQuery(owner=owner, since=since, limit=limit))
        self.get(owner, endpoint_id)
        return self.deliveries.page(DeliveryQuery(endpoint_id=endpoint_id, since=since, limit=limit))

    def deliveries_of_job(self, job: Job) -> tuple[Delivery, ...]:
        """Return the deliveries of a job."""
        if job.callback is None and job.owner is None:
            return ()
        return self.deliveries.page(DeliveryQuery(job_id=job.id, limit=50))

    def deliveries_of_batch(self, batch: Batch) -> tuple[Delivery, ...]:
        """Return the deliveries of a batch, without those of its jobs."""
        if batch.callback is None and batch.owner is None:
            return ()
        return self.deliveries.page(DeliveryQuery(batch_id=batch.id, limit=50))

    def redeliver(self, delivery_id: str, *, owner: str | None = None, job_id: str | None = None) -> Delivery:
        """Send a delivery again, with the same id. Raises Conflict, NotFound."""
        delivery = self.deliveries.get(delivery_id)
        matches = delivery.owner == owner if owner is not None else delivery.job_id == job_id is not None
        if not matches:
            raise NotFound("This delivery does not exist. It may have expired.")
        return self.redeliver_any(delivery_id)

    def redeliver_any(self, delivery_id: str) -> Delivery:
        """Send a delivery of any owner again. Raises Conflict, NotFound."""
        return self.deliveries.change(delivery_id, lambda delivery: delivery.redeliver(now=store_time()))

    def redeliver_since(self, owner: str, *, since: float, endpoint_id: str | None) -> tuple[int, bool]:
        """Send failed deliveries again. Returns how many, and whether there are more. Raises NotFound."""
        found = self.list_deliveries(owner, endpoint_id=endpoint_id, since=since, limit=10 * MAX_REDELIVERED)
        failed = [delivery for delivery in found if delivery.state is DeliveryState.FAILED]
        for delivery in failed[:MAX_REDELIVERED]:
            try:
                self.deliveries.change(delivery.id, lambda delivery: delivery.redeliver(now=store_time()))
            except (Conflict, NotFound):
                continue  # already pending again, or expired
        _log.info("webhooks_redelivered", owner=owner, count=len(failed[:MAX_REDELIVERED]))
        return len(failed[:MAX_REDELIVERED]), len(failed) > MAX_REDELIVERED

    def secrets(self, owner: str) -> Secrets:
        """Return the secrets that sign the API key's webhooks."""
        return self.endpoints.secrets(owner)

    def rotate(self, owner: str, *, overlap_seconds: float) -> Secrets:
        """Create a new secret. The old one signs next to it for the overlap."""
        return self.endpoints.secrets(
            owner, lambda secrets: secrets.rotate(now=store_time(), overlap_seconds=overlap_seconds)
        )


def webhook_warnings(deliveries: DeliveryStore, endpoints: EndpointStore, *, now: float) -> list[str]:
    """Return warnings about all webhooks, as sentences for the dashboard."""
    warnings = [
        f"The webhook {endpoint.id} of the API key {endpoint.owner} is disabled: {endpoint.disabled_why}"
        for endpoint in endpoints.list_all()
        if endpoint.disabled_at is not None and endpoint.disabled_why != BY_HAND
    ]
    pending = deliveries.pending_events(limit=1)
    if pending and pending[0].at < now - _MAX_EVENT_AGE_SECONDS:
        warnings.append("No webhook dispatcher is running. Start `python -m worker webhooks`.")
    return warnings


def owner_of(caller: Caller) -> str:
    """Return the API key whose webhooks are meant. Raises Unauthenticated for a caller without one."""
    if caller.key_id is None:
        raise Unauthenticated(
            "Webhooks belong to an API key. Send Authorization: Bearer kam_…, "
            "or set `callback_url` on each job."
        )
    return caller.key_id


def _parse_events(events: Sequence[str]) -> tuple[EventType, ...]:
    return parse_events(events, known=ALL_EVENTS, default=ALL_ENDS)


def _clean_description(text: str | None) -> str | None:
    text = " ".join((text or "").split())
    if len(text) > _MAX_DESCRIPTION_LENGTH or not text.isprintable():
        raise BadRequest(f"The description must be printable, at most {_MAX_DESCRIPTION_LENGTH} characters.")
    return text or None
