"""Warnings about webhooks on the dashboard."""

import asyncio
import time

from api.access.authentication import Caller
from api.access.url_checker import LookupPool, UrlChecker
from api.webhooks.schemas import UpdateEndpoint
from api.webhooks.service import WebhookService, webhook_warnings
from tests.support.api_harness import public_only
from tests.support.fakes.webhooks import MemoryDeliveryStore, MemoryEndpointStore, make_endpoint, make_event

URLS = UrlChecker(check_url=public_only, pool=LookupPool())


def enable(webhooks: WebhookService, owner: str, endpoint_id: str, *, enabled: bool) -> None:
    caller = Caller(key_id=owner, scopes=frozenset())
    asyncio.run(webhooks.update(caller, endpoint_id, UpdateEndpoint(enabled=enabled)))


def warnings(webhooks: WebhookService) -> list[str]:
    return webhook_warnings(webhooks.deliveries, webhooks.endpoints, now=time.time())


def test_a_webhook_that_failed_too_long_is_a_warning_and_one_disabled_by_hand_is_not() -> None:
    webhooks = WebhookService(deliveries=MemoryDeliveryStore(), endpoints=MemoryEndpointStore(), urls=URLS)
    webhooks.endpoints.add(make_endpoint(1))
    assert warnings(webhooks) == []
    enable(webhooks, "key-1", "ep_1", enabled=False)
    webhooks.endpoints.add(
        make_endpoint(2, owner="key-2").record_failure(now=0.0).record_failure(now=3 * 86400.0)
    )
    assert warnings(webhooks) == [
        "The webhook ep_2 of the API key key-2 is disabled: It failed for three days."
    ]
    enable(webhooks, "key-2", "ep_2", enabled=True)
    assert warnings(webhooks) == []


def test_events_that_no_dispatcher_takes_are_a_warning() -> None:
    deliveries = MemoryDeliveryStore()
    webhooks = WebhookService(deliveries=deliveries, endpoints=MemoryEndpointStore(), urls=URLS)
    deliveries.happen(make_event(1, at=time.time() - 5))
    assert warnings(webhooks) == []
    deliveries.happen(make_event(2, at=time.time() - 500))
    assert warnings(webhooks) == ["No webhook dispatcher is running. Start `python -m worker webhooks`."]
