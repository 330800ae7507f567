"""When a webhook is tried again, and when no more."""

import pytest

from shared.domain.webhooks.delivery import (
    RETRY_DELAYS_SECONDS,
    Attempt,
    Delivery,
    DeliveryState,
    delivery_id,
)
from shared.domain.webhooks.endpoint import DISABLED_AFTER_SECONDS
from shared.errors import Conflict, LeaseLost
from tests.support.fakes.webhooks import make_delivery, make_endpoint

YES = Attempt(at=0.0, milliseconds=5, status=204)
NO = Attempt(at=0.0, milliseconds=5, status=500, error="It answered 500.")
GONE = Attempt(at=0.0, milliseconds=5, status=410, error="It answered 410.")


def tried(
    delivery: Delivery, attempt: Attempt, now: float, *, chance: float = 0.0, retry_after_seconds: float = 0.0
) -> Delivery:
    claimed = delivery.claim(now=now, lease_seconds=30)
    return claimed.record(
        claimed.claims, attempt, now=now, jitter=chance, retry_after_seconds=retry_after_seconds
    )


def test_it_is_tried_eleven_times_over_about_three_days() -> None:
    delivery, now, at = make_delivery(due_at=0.0), 0.0, []
    while delivery.state is DeliveryState.PENDING:
        assert delivery.due_at is not None
        now = delivery.due_at
        at.append(now)
        delivery = tried(delivery, NO, now)
    assert at[:5] == [0.0, 5.0, 65.0, 365.0, 2165.0]
    assert len(at) == 11
    assert 2.9 < at[-1] / 86400 < 3.1
    assert delivery.state is DeliveryState.FAILED
    assert len(delivery.attempts) == 11


def test_delays_have_random_jitter() -> None:
    due = {tried(make_delivery(due_at=0.0), NO, 0.0, chance=chance).due_at for chance in (0.0, 0.5, 1.0)}
    assert due == {5.0, 5.25, 5.5}


def test_a_receiver_can_ask_for_a_longer_delay_up_to_a_day() -> None:
    assert tried(make_delivery(due_at=0.0), NO, 0.0, retry_after_seconds=600.0).due_at == 600.0
    assert tried(make_delivery(due_at=0.0), NO, 0.0, retry_after_seconds=1.0).due_at == 5.0
    assert tried(make_delivery(due_at=0.0), NO, 0.0, retry_after_seconds=1e9).due_at == 86400.0


def test_2xx_and_410_end_a_delivery() -> None:
    delivered = tried(make_delivery(due_at=0.0), YES, 1.0)
    assert (delivered.state, delivered.due_at, delivered.ended_at) == (DeliveryState.DELIVERED, None, 1.0)
    assert tried(make_delivery(due_at=0.0), GONE, 1.0).state is DeliveryState.FAILED


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 308, 400, 404, 429, 500, 503])
def test_only_2xx_is_a_success(status: int) -> None:
    delivery = tried(make_delivery(due_at=0.0), Attempt(at=0.0, milliseconds=1, status=status), 0.0)
    assert delivery.state is DeliveryState.PENDING


def test_only_the_lease_holder_ends_an_attempt() -> None:
    first = make_delivery(due_at=0.0).claim(now=0.0, lease_seconds=30)
    with pytest.raises(Conflict):
        first.claim(now=29.9, lease_seconds=30)
    second = first.claim(now=30.0, lease_seconds=30)
    with pytest.raises(LeaseLost):
        second.record(first.claims, YES, now=31.0, jitter=0)
    done = second.record(second.claims, NO, now=31.0, jitter=0)
    assert done.tries == 2
    with pytest.raises(LeaseLost):
        done.record(second.claims, NO, now=31.0, jitter=0)


def test_an_attempt_of_a_dead_notifier_counts() -> None:
    delivery = make_delivery(due_at=0.0)
    for number in range(len(RETRY_DELAYS_SECONDS)):
        delivery = delivery.claim(now=100.0 * number, lease_seconds=30)
    assert tried(delivery, NO, 5000.0).state is DeliveryState.FAILED


def test_a_redelivery_has_new_attempts_the_same_id_and_the_whole_log() -> None:
    failed = make_delivery(due_at=0.0)
    while failed.state is DeliveryState.PENDING:
        failed = tried(failed, NO, failed.due_at or 0.0)
    again = failed.redeliver(now=1e6)
    assert (again.id, again.state, again.tries, again.due_at) == (failed.id, DeliveryState.PENDING, 0, 1e6)
    again = tried(again, YES, 1e6)
    assert [attempt.status for attempt in again.attempts] == [500] * 11 + [204]
    with pytest.raises(Conflict):
        make_delivery(due_at=0.0).claim(now=0.0, lease_seconds=1).redeliver(now=2.0)


def test_the_log_of_a_delivery_is_limited() -> None:
    delivery = make_delivery(due_at=0.0)
    for _ in range(100):
        delivery = tried(delivery.redeliver(now=0.0), NO, 0.0)
    assert len(delivery.attempts) == 30


def test_secrets_are_not_in_the_repr() -> None:
    shown = repr(make_delivery()) + repr(make_endpoint())
    assert "t0psecret" not in shown
    assert "whsec_" not in shown


def test_the_id_depends_on_event_and_receiver_only() -> None:
    assert delivery_id("evt_1", "ep_1") == delivery_id("evt_1", "ep_1") != delivery_id("evt_1", "ep_2")
    assert "." not in delivery_id("evt_1", "ep_1")


def test_an_endpoint_that_fails_for_three_days_is_disabled() -> None:
    endpoint = (
        make_endpoint().record_failure(now=100.0).record_failure(now=100.0 + DISABLED_AFTER_SECONDS - 1)
    )
    assert endpoint.disabled_at is None
    endpoint = endpoint.record_failure(now=100.0 + DISABLED_AFTER_SECONDS)
    assert endpoint.disabled_at == 100.0 + DISABLED_AFTER_SECONDS
    assert "three days" in (endpoint.disabled_why or "")
    assert endpoint.enable() == make_endpoint()


def test_a_success_restarts_the_three_days() -> None:
    endpoint = (
        make_endpoint().record_failure(now=0.0).record_success().record_failure(now=DISABLED_AFTER_SECONDS)
    )
    assert endpoint.disabled_at is None
