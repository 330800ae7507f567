"""One attempt at one delivery."""

from dataclasses import dataclass, field, replace
from email.utils import formatdate

import pytest
import standardwebhooks

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.events import EventType
from shared.errors import AddressRefused, Unreachable
from shared.outbound.address_rules import HttpResponse, OutboundRules, parse_networks
from shared.outbound.client import OutboundClient
from shared.outbound.retry_after import retry_after_seconds
from tests.support.fakes.webhooks import (
    MemoryDeliveryStore,
    MemoryEndpointStore,
    MemoryHttpSender,
    make_delivery,
    make_endpoint,
)
from tests.support.webhook_receivers import running_receiver
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker

NOW = 1_795_000_000.0


def answer(status: int, *, body: bytes = b"", internal: bool = False, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=named, body=body, is_internal=internal)


@dataclass
class Harness:
    now: float = NOW
    deliveries: MemoryDeliveryStore = field(default_factory=MemoryDeliveryStore)
    endpoints: MemoryEndpointStore = field(default_factory=MemoryEndpointStore)
    outbound: MemoryHttpSender = field(default_factory=MemoryHttpSender)

    @property
    def worker(self) -> DeliveryWorker:
        return DeliveryWorker(
            deliveries=self.deliveries,
            endpoints=self.endpoints,
            outbound=self.outbound,
            config=DeliveryConfig(timeout_seconds=15),
            clock=lambda: self.now,
            jitter=lambda: 0.0,
        )

    def deliver(self, delivery: Delivery, result: HttpResponse | Exception | None = None) -> Delivery:
        if result is not None:
            self.outbound.answer = result
        self.deliveries.add(delivery)
        after = self.worker.deliver(delivery.id)
        assert after is not None
        return after


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_a_2xx_response_ends_the_delivery_and_is_recorded(harness: Harness) -> None:
    after = harness.deliver(make_delivery(), answer(200, body=b"thanks"))
    assert after.state is DeliveryState.DELIVERED
    (attempt,) = after.attempts
    assert (attempt.at, attempt.status, attempt.error, attempt.response) == (NOW, 200, None, "thanks")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_any_other_status_is_retried_later(harness: Harness, status: int) -> None:
    after = harness.deliver(make_delivery(), answer(status, location="https://elsewhere.example/"))
    assert (after.state, after.due_at) == (DeliveryState.PENDING, NOW + 5)
    assert str(status) in (after.attempts[0].error or "")
    assert len(harness.outbound.sent) == 1


@pytest.mark.parametrize(
    "error", [Unreachable("It did not answer in time."), AddressRefused("Its scheme must be https.")]
)
def test_an_unreachable_receiver_is_retried_and_the_reason_is_recorded(
    harness: Harness, error: Unreachable | AddressRefused
) -> None:
    after = harness.deliver(make_delivery(), error)
    assert after.state is DeliveryState.PENDING
    assert (after.attempts[0].status, after.attempts[0].error) == (None, error.message)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_retry_after_is_honoured(harness: Harness, status: int) -> None:
    assert harness.deliver(make_delivery(), answer(status, retry_after="120")).due_at == NOW + 120


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("99999999999999999999999", 86400.0),
        ("-5", 0.0),
        ("1e9", 0.0),
        ("soon", 0.0),
        ("٣", 0.0),
        ("Mon, 99 Nov 2026 99:00:00 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_parsed_or_ignored(given: str, seconds: float) -> None:
    assert retry_after_seconds(503, {"retry-after": given}, now=NOW) == pytest.approx(seconds, abs=1)


def test_a_retry_has_the_same_id_and_body_and_a_new_timestamp_and_signature(harness: Harness) -> None:
    after = harness.deliver(make_delivery(), answer(500))
    harness.now = after.due_at or 0.0
    harness.outbound.answer = answer(200)
    harness.worker.deliver(after.id)
    first, second = harness.outbound.sent
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == after.id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_webhook_is_signed_with_every_valid_secret_of_the_key(harness: Harness) -> None:
    old = harness.endpoints.secrets("key-1")
    new = harness.endpoints.secrets("key-1", lambda one: one.rotate(now=NOW, overlap_seconds=60))
    harness.deliver(make_delivery(secret=None, owner="key-1"))
    sent = harness.outbound.sent[0].headers
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (old.current, new.current):
        ours = standardwebhooks.Webhook(secret).sign("msg_1", _utc(NOW), make_delivery().body)
        assert ours in sent["webhook-signature"].split(" ")


def _utc(at: float):  # type: ignore[no-untyped-def]
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC)


def test_a_410_ends_the_delivery_and_disables_its_endpoint(harness: Harness) -> None:
    harness.endpoints.add(make_endpoint())
    after = harness.deliver(make_delivery(endpoint_id="ep_1", owner="key-1", secret=None), answer(410))
    assert after.state is DeliveryState.FAILED
    assert harness.endpoints.get("ep_1").disabled_at == NOW


def test_an_endpoint_that_failed_for_three_days_is_disabled(harness: Harness) -> None:
    harness.endpoints.add(make_endpoint())
    for day in range(4):
        harness.now = NOW + day * 86400
        harness.deliver(make_delivery(day, endpoint_id="ep_1", owner="key-1", secret=None), answer(500))
    assert harness.endpoints.get("ep_1").disabled_at == harness.now
    after = harness.deliver(make_delivery(9, endpoint_id="ep_1", owner="key-1", secret=None))
    assert (after.state, after.why) == (DeliveryState.FAILED, "The endpoint is disabled.")
    assert len(harness.outbound.sent) == 4


def test_a_disabled_endpoint_can_be_tested(harness: Harness) -> None:
    harness.endpoints.add(make_endpoint(disabled_at=1.0))
    test = make_delivery(type=EventType.TEST, endpoint_id="ep_1", owner="key-1", secret=None)
    assert harness.deliver(test, answer(200)).state is DeliveryState.DELIVERED


def test_a_deleted_endpoint_gets_no_webhooks(harness: Harness) -> None:
    after = harness.deliver(make_delivery(endpoint_id="ep_1", owner="key-1", secret=None))
    assert (after.state, after.why) == (DeliveryState.FAILED, "The endpoint was deleted.")
    assert harness.outbound.sent == []


def test_a_delivery_that_is_not_due_or_missing_is_not_sent(harness: Harness) -> None:
    harness.deliveries.add(make_delivery(1, due_at=NOW + 1))
    assert harness.worker.deliver("msg_1") is None
    assert harness.worker.deliver("msg_2") is None
    assert harness.outbound.sent == []


def test_a_worker_that_lost_its_lease_records_nothing(harness: Harness) -> None:
    class Slow(MemoryHttpSender):
        def send(self, *args: object, **fields: object) -> HttpResponse:
            harness.now += 31
            harness.deliveries.change("msg_1", lambda one: one.claim(now=harness.now, lease_seconds=30))
            return answer(200)

    harness.outbound = Slow()
    harness.deliveries.add(make_delivery())
    assert harness.worker.deliver("msg_1") is None
    assert harness.deliveries.get("msg_1").attempts == ()
    assert harness.deliveries.get("msg_1").tries == 2


def test_one_kilobyte_of_a_long_response_is_kept_and_control_bytes_are_replaced() -> None:
    garbage = b"\x00\xff<script>" * 10_000
    harness = Harness()
    with running_receiver(lambda _: (500, {}, garbage)) as receiver:
        outbound = OutboundClient(rules=OutboundRules(networks=parse_networks("127.0.0.0/8")))
        worker = replace(
            harness.worker, outbound=outbound, config=DeliveryConfig(timeout_seconds=5, allow_http=True)
        )
        harness.deliveries.add(make_delivery(url=receiver.url))
        after = worker.deliver("msg_1")
    assert after is not None
    (attempt,) = after.attempts
    assert attempt.is_internal
    assert attempt.response is not None
    assert 900 < len(attempt.response) <= 1024
    assert "\x00" not in attempt.response


def test_http_is_refused_unless_the_setting_allows_it() -> None:
    harness = Harness()
    with running_receiver() as receiver:
        outbound = OutboundClient(rules=OutboundRules(networks=parse_networks("127.0.0.0/8")))
        harness.deliveries.add(make_delivery(url=receiver.url))
        after = replace(harness.worker, outbound=outbound).deliver("msg_1")
    assert after is not None
    assert "https" in (after.attempts[0].error or "")
    assert receiver.requests == []
