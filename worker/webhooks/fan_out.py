"""Turns an event into deliveries: one for its callback, one for each endpoint that subscribes to it."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from shared.domain.webhooks.delivery import Delivery, DeliveryState, delivery_id
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import WebhookEvent
from shared.observability.logs import get_logger
from shared.ports.webhooks import DeliveryStore, EndpointStore

_log = get_logger(__name__)

_BATCH_SIZE = 100


def fan_out_events(*, deliveries: DeliveryStore, endpoints: EndpointStore, now: float) -> int:
    """Turn the events in the outbox into deliveries. Returns the number of events. Raises Unavailable."""
    events = deliveries.pending_events(limit=_BATCH_SIZE)
    for event in events:
        subscribed = endpoints.list_for_owner(event.owner) if event.owner is not None else ()
        deliveries.fan_out(event, deliveries_of(event, endpoints=subscribed, now=now))
    return len(events)


def deliveries_of(event: WebhookEvent, *, endpoints: Sequence[Endpoint], now: float) -> list[Delivery]:
    """The deliveries of one event. A disabled endpoint gets a failed one, which can be redelivered later."""
    deliveries: list[Delivery] = []
    if event.callback is not None:
        deliveries.append(_delivery(event, event.callback.url, now, secret=event.callback.secret))
    for endpoint in endpoints:
        if event.type not in endpoint.events:
            continue
        if endpoint.disabled_at is None:
            deliveries.append(_delivery(event, endpoint.url, now, endpoint=endpoint))
            continue
        deliveries.append(
            _delivery(
                event,
                endpoint.url,
                now,
                endpoint=endpoint,
                state=DeliveryState.FAILED,
                why="The endpoint was disabled.",
            )
        )
    return deliveries


def _delivery(
    event: WebhookEvent,
    url: str,
    now: float,
    *,
    endpoint: Endpoint | None = None,
    secret: str | None = None,
    state: DeliveryState = DeliveryState.PENDING,
    why: str | None = None,
) -> Delivery:
    return Delivery(
        id=delivery_id(event.id, endpoint.id if endpoint else "callback"),
        type=event.type,
        url=url,
        server=urlsplit(url).netloc,
        body=event.body,
        created_at=now,
        owner=event.owner,
        job_id=event.job_id,
        batch_id=event.batch_id,
        endpoint_id=endpoint.id if endpoint else None,
        secret=secret,
        state=state,
        due_at=now if state is DeliveryState.PENDING else None,
        why=why,
    )
