"""What the operator is told of everybody's webhooks."""

import time

from api.webhooks.service import WebhookService, webhook_warnings
from tests.support.api_harness import public_only
from tests.support.fakes.webhooks import MemoryDeliveryStore, MemoryEndpointStore, make_endpoint, make_event


def warnings(acts: WebhookService) -> list[str]:
    return webhook_warnings(acts.deliveries, acts.endpoints, now=time.time())


def test_the_operator_is_told_of_what_was_disabled_for_failing_and_not_by_hand() -> None:
    acts = WebhookService(
        deliveries=MemoryDeliveryStore(), endpoints=MemoryEndpointStore(), check_url=public_only
    )
    acts.endpoints.add(make_endpoint(1))
    assert warnings(acts) == []
    acts.change("key-1", "ep_1", enabled=False)
    acts.endpoints.add(
        make_endpoint(2, owner="key-2").record_failure(now=0.0).record_failure(now=3 * 86400.0)
    )
    assert warnings(acts) == ["The webhook ep_2 of the API key key-2 is disabled: It failed for three days."]
    acts.change("key-2", "ep_2", enabled=True)
    assert warnings(acts) == []


def test_the_operator_is_told_when_nobody_sends() -> None:
    deliveries = MemoryDeliveryStore()
    acts = WebhookService(deliveries=deliveries, endpoints=MemoryEndpointStore(), check_url=public_only)
    deliveries.happen(make_event(1, at=time.time() - 5))
    assert warnings(acts) == []
    deliveries.happen(make_event(2, at=time.time() - 500))
    assert warnings(acts) == ["Webhooks wait for a sender: start `python -m worker.webhooks`."]
