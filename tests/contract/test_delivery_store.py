"""The outbox and all deliveries, over the fake and over Redis."""

import contextlib
import threading
from collections.abc import Callable

import pytest

from shared.domain.job_fields import Callback
from shared.domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from shared.domain.webhooks.events import WebhookEvent
from shared.errors import Conflict, NotFound
from shared.ports.webhooks import DeliveryQuery, DeliveryStore
from shared.redis.jobs.store import RedisJobStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.outbox import WebhookOutbox
from shared.schemas.webhook_event import job_event
from tests.contract.conftest import KINDS
from tests.support.factories import make_job, make_report
from tests.support.fakes.webhooks import MemoryDeliveryStore, make_delivery

Happen = Callable[[], WebhookEvent]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(request: pytest.FixtureRequest, kind: str, prefix: str) -> DeliveryStore:
    if kind == "memory":
        return MemoryDeliveryStore()
    return RedisDeliveryStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture
def happen(request: pytest.FixtureRequest, kind: str, store: DeliveryStore, prefix: str) -> Happen:
    """End a job whose owner wants to know."""
    numbers = iter(range(1, 1000))

    def in_memory() -> WebhookEvent:
        assert isinstance(store, MemoryDeliveryStore)
        job = make_job(f"job-{next(numbers)}", owner="key-1", callback=CALLBACK)
        old = job.start(worker="w", now=1.0, lease_seconds=9)
        event = job_event(old, old.succeed(1, make_report(), now=2.0))
        assert event is not None
        store.happen(event)
        return event

    def in_redis() -> WebhookEvent:
        jobs = RedisJobStore(
            request.getfixturevalue("client"), prefix=prefix, followers=[WebhookOutbox(prefix=prefix)]
        )
        job = make_job(f"job-{next(numbers)}", owner="key-1", callback=CALLBACK)
        jobs.add(job)
        old = jobs.change(job.id, lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
        new = jobs.change(job.id, lambda job: job.succeed(1, make_report(), now=2.0))
        event = job_event(old, new)
        assert event is not None
        return event

    return in_memory if kind == "memory" else in_redis


CALLBACK = Callback(url="https://hooks.example/a", events=("job.succeeded",), secret="whsec_c2VjcmV0")


def due(store: DeliveryStore, now: float = 100.0, **changes: object) -> list[str]:
    terms: dict[str, object] = {"max_per_server": 2, "excluded_servers": (), "limit": 10}
    return [one.id for one in store.due(now=now, **{**terms, **changes})]  # type: ignore[arg-type]


def test_a_change_of_a_job_is_a_pending_event(store: DeliveryStore, happen: Happen) -> None:
    event = happen()
    found = {one.type: one for one in store.pending_events(limit=10)}
    assert found["job.succeeded"] == event  # type: ignore[index]
    assert event.callback == CALLBACK


def test_an_event_is_fanned_out_once_even_if_repeated(store: DeliveryStore, happen: Happen) -> None:
    event = happen()
    store.fan_out(event, [make_delivery(1)])
    store.fan_out(event, [make_delivery(1), make_delivery(2)])
    assert event not in store.pending_events(limit=10)
    assert due(store) == ["msg_1"]


def test_a_delivery_is_due_from_its_due_time(store: DeliveryStore) -> None:
    store.add(make_delivery(1, due_at=10.0))
    assert due(store, now=9.9) == []
    assert due(store, now=10.0) == ["msg_1"]


def test_a_delivery_is_read_as_it_was_written(store: DeliveryStore) -> None:
    attempt = Attempt(at=1.5, milliseconds=20, status=500, error="It answered 500.", response="ü\n")
    store.add(make_delivery(1, attempts=(attempt,)))
    assert store.get("msg_1") == make_delivery(1, attempts=(attempt,), version=1)
    with pytest.raises(NotFound):
        store.get("msg_2")
    with pytest.raises(NotFound):
        store.change("msg_2", lambda one: one)


def test_a_claimed_delivery_is_due_again_when_its_lease_expires(store: DeliveryStore) -> None:
    store.add(make_delivery(1))
    claimed = store.change("msg_1", lambda one: one.claim(now=20.0, lease_seconds=30))
    assert (claimed.tries, claimed.leased) == (1, True)
    assert due(store, now=49.9) == []
    assert due(store, now=50.0) == ["msg_1"]


def test_a_finished_delivery_is_due_only_after_a_redelivery(store: DeliveryStore) -> None:
    store.add(make_delivery(1))
    store.change("msg_1", lambda one: one.claim(now=20.0, lease_seconds=30))
    accepted = Attempt(at=20.0, milliseconds=1, status=200)
    store.change("msg_1", lambda one: one.record(1, accepted, now=21.0, jitter=0))
    assert due(store, now=1e6) == []
    store.change("msg_1", lambda one: one.redeliver(now=30.0))
    assert due(store, now=30.0) == ["msg_1"]


def test_every_server_gets_a_turn_before_any_gets_a_second(store: DeliveryStore) -> None:
    for number in range(1, 6):
        store.add(make_delivery(number, server="crowded.example", due_at=float(number)))
    store.add(make_delivery(6, server="late.example", due_at=50.0))
    assert due(store, max_per_server=3) == ["msg_1", "msg_6", "msg_2", "msg_3"]
    assert due(store, max_per_server=3, limit=2) == ["msg_1", "msg_6"]


def test_a_server_can_be_excluded(store: DeliveryStore) -> None:
    store.add(make_delivery(1, server="hanging.example"))
    store.add(make_delivery(2, server="good.example"))
    assert due(store, excluded_servers={"hanging.example"}) == ["msg_2"]
    assert set(due(store)) == {"msg_1", "msg_2"}


def test_a_server_with_later_deliveries_hides_no_other_server(store: DeliveryStore) -> None:
    for number in range(1, 4):
        store.add(make_delivery(number, server=f"later-{number}.example", due_at=1.0))
        store.change(f"msg_{number}", lambda one: one.claim(now=2.0, lease_seconds=1000))
    store.add(make_delivery(9, server="now.example", due_at=5.0))
    assert due(store, limit=1) == ["msg_9"]
    assert due(store, limit=1, now=1002.0) != []


def test_only_one_of_many_claims_a_delivery(store: DeliveryStore) -> None:
    store.add(make_delivery(1))
    got: list[Delivery] = []

    def claim() -> None:
        with contextlib.suppress(Conflict):
            got.append(store.change("msg_1", lambda one: one.claim(now=20.0, lease_seconds=30)))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert store.get("msg_1").claims == 1


def test_deliveries_are_listed_by_job_endpoint_and_owner_newest_first(store: DeliveryStore) -> None:
    store.add(make_delivery(1, job_id="a", endpoint_id=None, owner=None))
    store.add(make_delivery(2, job_id="a", endpoint_id="ep_1", owner="key-1"))
    store.add(make_delivery(3, job_id="b", endpoint_id="ep_1", owner="key-1", state=DeliveryState.FAILED))

    def listed(query: DeliveryQuery) -> list[str]:
        return [one.id for one in store.page(query)]

    assert listed(DeliveryQuery(job_id="a")) == ["msg_2", "msg_1"]
    assert listed(DeliveryQuery(endpoint_id="ep_1")) == ["msg_3", "msg_2"]
    assert listed(DeliveryQuery(owner="key-1", since=3.0)) == ["msg_3"]
    assert listed(DeliveryQuery(owner="key-1", limit=1)) == ["msg_3"]
    assert listed(DeliveryQuery(owner="key-2")) == []


def test_the_deliveries_of_a_job_can_be_deleted(store: DeliveryStore) -> None:
    store.add(make_delivery(1, job_id="a", owner="key-1"))
    store.add(make_delivery(2, job_id="a", owner="key-1", state=DeliveryState.DELIVERED, due_at=None))
    store.add(make_delivery(3, job_id="b", owner="key-1"))
    store.delete_all_about("a")
    store.delete_all_about("never there")
    assert due(store) == ["msg_3"]
    assert [one.id for one in store.page(DeliveryQuery(owner="key-1"))] == ["msg_3"]
    assert store.page(DeliveryQuery(job_id="a")) == ()
    with pytest.raises(NotFound):
        store.get("msg_1")
