"""Warnings about webhooks on the dashboard."""

import time

from api.webhooks.schemas import UpdateEndpoint
from api.webhooks.service import WebhookService, webhook_warnings
from tests.support.api_harness import public_only
from tests.support.fakes.webhooks import MemoryDeliveryStore, MemoryEndpointStore, make_endpoint, make_event


def warnings(webhooks: WebhookService) -> list[str]:
    return webhook_warnings(webhooks.deliveries, webhooks.endpoints, now=time.time())


def test_a_webhook_that_failed_too_long_is_a_warning_and_one_disabled_by_hand_is_not() -> None:
    webhooks = WebhookService(
        deliveries=MemoryDeliveryStore(), endpoints=MemoryEndpointStore(), check_url=public_only
    )
    webhooks.endpoints.add(make_endpoint(1))
    assert warnings(webhooks) == []
    webhooks.update("key-1", "ep_1", UpdateEndpoint(enabled=False))
    webhooks.endpoints.add(
        make_endpoint(2, owner="key-2").record_failure(now=0.0).record_failure(now=3 * 86400.0)
    )
    assert warnings(webhooks) == [
        "The webhook ep_2 of the API key key-2 is disabled: It failed for three days."
    ]
    webhooks.update("key-2", "ep_2", UpdateEndpoint(enabled=True))
    assert warnings(webhooks) == []


def test_events_that_no_dispatcher_takes_are_a_warning() -> None:
    deliveries = MemoryDeliveryStore()
    webhooks = WebhookService(deliveries=deliveries, endpoints=MemoryEndpointStore(), check_url=public_only)
    deliveries.happen(make_event(1, at=time.time() - 5))
    assert warnings(webhooks) == []
    deliveries.happen(make_event(2, at=time.time() - 500))
    assert warnings(webhooks) == ["No webhook dispatcher is running. Start `python -m worker webhooks`."]
