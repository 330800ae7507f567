"""One attempt at one delivery."""

from dataclasses import dataclass, field, replace
from email.utils import formatdate

import pytest
import standardwebhooks

from shared.domain.delivery import Delivery, DeliveryState
from shared.domain.webhook import EventType
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
class Office:
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
def office() -> Office:
    return Office()


def test_a_yes_ends_the_delivery_and_is_logged(office: Office) -> None:
    after = office.deliver(make_delivery(), answer(200, body=b"thanks"))
    assert after.state is DeliveryState.DELIVERED
    (attempt,) = after.attempts
    assert (attempt.at, attempt.status, attempt.error, attempt.response) == (NOW, 200, None, "thanks")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again_later(office: Office, status: int) -> None:
    after = office.deliver(make_delivery(), answer(status, location="https://elsewhere.example/"))
    assert (after.state, after.due_at) == (DeliveryState.PENDING, NOW + 5)
    assert str(status) in (after.attempts[0].error or "")
    assert len(office.outbound.sent) == 1


@pytest.mark.parametrize(
    "error", [Unreachable("It did not answer in time."), AddressRefused("Its scheme must be https.")]
)
def test_what_can_not_be_reached_is_tried_again_and_the_log_says_why(
    office: Office, error: Unreachable | AddressRefused
) -> None:
    after = office.deliver(make_delivery(), error)
    assert after.state is DeliveryState.PENDING
    assert (after.attempts[0].status, after.attempts[0].error) == (None, error.message)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_retry_after_is_honoured(office: Office, status: int) -> None:
    assert office.deliver(make_delivery(), answer(status, retry_after="120")).due_at == NOW + 120


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
def test_any_retry_after_is_read_or_ignored(given: str, seconds: float) -> None:
    assert retry_after_seconds(503, {"retry-after": given}, now=NOW) == pytest.approx(seconds, abs=1)


def test_the_same_id_and_body_are_sent_again_with_a_new_time_and_signature(office: Office) -> None:
    after = office.deliver(make_delivery(), answer(500))
    office.now = after.due_at or 0.0
    office.outbound.answer = answer(200)
    office.worker.deliver(after.id)
    first, second = office.outbound.sent
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == after.id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_job_of_a_key_is_signed_with_all_of_the_keys_valid_secrets(office: Office) -> None:
    old = office.endpoints.secrets("key-1")
    new = office.endpoints.secrets("key-1", lambda one: one.rotate(now=NOW, overlap_seconds=60))
    office.deliver(make_delivery(secret=None, owner="key-1"))
    sent = office.outbound.sent[0].headers
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (old.current, new.current):
        ours = standardwebhooks.Webhook(secret).sign("msg_1", _utc(NOW), make_delivery().body)
        assert ours in sent["webhook-signature"].split(" ")


def _utc(at: float):  # type: ignore[no-untyped-def]
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC)


def test_a_410_ends_the_delivery_and_disables_its_endpoint(office: Office) -> None:
    office.endpoints.add(make_endpoint())
    after = office.deliver(make_delivery(endpoint_id="ep_1", owner="key-1", secret=None), answer(410))
    assert after.state is DeliveryState.FAILED
    assert office.endpoints.get("ep_1").disabled_at == NOW


def test_an_endpoint_that_failed_for_three_days_gets_no_more(office: Office) -> None:
    office.endpoints.add(make_endpoint())
    for day in range(4):
        office.now = NOW + day * 86400
        office.deliver(make_delivery(day, endpoint_id="ep_1", owner="key-1", secret=None), answer(500))
    assert office.endpoints.get("ep_1").disabled_at == office.now
    after = office.deliver(make_delivery(9, endpoint_id="ep_1", owner="key-1", secret=None))
    assert (after.state, after.why) == (DeliveryState.FAILED, "The endpoint is disabled.")
    assert len(office.outbound.sent) == 4


def test_a_disabled_endpoint_can_be_tested(office: Office) -> None:
    office.endpoints.add(make_endpoint(disabled_at=1.0))
    test = make_delivery(type=EventType.TEST, endpoint_id="ep_1", owner="key-1", secret=None)
    assert office.deliver(test, answer(200)).state is DeliveryState.DELIVERED


def test_a_deleted_endpoint_gets_nothing_more(office: Office) -> None:
    after = office.deliver(make_delivery(endpoint_id="ep_1", owner="key-1", secret=None))
    assert (after.state, after.why) == (DeliveryState.FAILED, "The endpoint was deleted.")
    assert office.outbound.sent == []


def test_what_is_not_due_or_not_there_is_left_alone(office: Office) -> None:
    office.deliveries.add(make_delivery(1, due_at=NOW + 1))
    assert office.worker.deliver("msg_1") is None
    assert office.worker.deliver("msg_2") is None
    assert office.outbound.sent == []


def test_a_sender_that_lost_its_lease_writes_nothing(office: Office) -> None:
    class Slow(MemoryHttpSender):
        def send(self, *args: object, **fields: object) -> HttpResponse:
            office.now += 31
            office.deliveries.change("msg_1", lambda one: one.claim(now=office.now, lease_seconds=30))
            return answer(200)

    office.outbound = Slow()
    office.deliveries.add(make_delivery())
    assert office.worker.deliver("msg_1") is None
    assert office.deliveries.get("msg_1").attempts == ()
    assert office.deliveries.get("msg_1").tries == 2


def test_of_a_long_answer_one_kilobyte_is_kept_and_no_byte_of_it_harms() -> None:
    garbage = b"\x00\xff<script>" * 10_000
    office = Office()
    with running_receiver(lambda _: (500, {}, garbage)) as receiver:
        outbound = OutboundClient(rules=OutboundRules(networks=parse_networks("127.0.0.0/8")))
        worker = replace(
            office.worker, outbound=outbound, config=DeliveryConfig(timeout_seconds=5, allow_http=True)
        )
        office.deliveries.add(make_delivery(url=receiver.url))
        after = worker.deliver("msg_1")
    assert after is not None
    (attempt,) = after.attempts
    assert attempt.is_internal
    assert attempt.response is not None
    assert 900 < len(attempt.response) <= 1024
    assert "\x00" not in attempt.response


def test_http_is_refused_unless_the_operator_allows_it() -> None:
    office = Office()
    with running_receiver() as receiver:
        outbound = OutboundClient(rules=OutboundRules(networks=parse_networks("127.0.0.0/8")))
        office.deliveries.add(make_delivery(url=receiver.url))
        after = replace(office.worker, outbound=outbound).deliver("msg_1")
    assert after is not None
    assert "https" in (after.attempts[0].error or "")
    assert receiver.requests == []
