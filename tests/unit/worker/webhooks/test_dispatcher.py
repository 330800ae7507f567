"""Many deliveries at once: counts and orders, never seconds."""

import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from shared.domain.delivery import Attempt, Delivery, DeliveryState
from shared.domain.job import Callback
from shared.domain.webhook import EventType
from shared.errors import Unavailable
from tests.support.fakes.webhooks import (
    MemoryDeliveryStore,
    MemoryEndpointStore,
    make_delivery,
    make_endpoint,
    make_event,
)
from worker.webhooks.dispatcher import Dispatcher
from worker.webhooks.fan_out import deliveries_of

SLOTS, SLOTS_PER_SERVER = 8, 2


@dataclass
class Office:
    """Receivers of `hanging.*` are held until `release`; all others say yes at once."""

    deliveries: MemoryDeliveryStore = field(default_factory=MemoryDeliveryStore)
    endpoints: MemoryEndpointStore = field(default_factory=MemoryEndpointStore)
    release: threading.Event = field(default_factory=threading.Event)
    now: float = 100.0
    most: Counter[str] = field(default_factory=Counter)
    begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.sender = Dispatcher(
            deliveries=self.deliveries,
            endpoints=self.endpoints,
            deliver=self.deliver,
            slots=SLOTS,
            slots_per_server=SLOTS_PER_SERVER,
            clock=lambda: self.now,
        )

    def deliver(self, delivery_id: str) -> Delivery | None:
        delivery = self.deliveries.change(delivery_id, lambda one: one.claim(now=self.now, lease_seconds=30))
        with self._lock:
            self.begun.append(delivery_id)
            for name in (delivery.server, "all"):
                self._under_way[name] += 1
                self.most[name] = max(self.most[name], self._under_way[name])
        if delivery.server.startswith("hanging"):
            assert self.release.wait(30)
        with self._lock:
            for name in (delivery.server, "all"):
                self._under_way[name] -= 1
        yes = Attempt(at=self.now, milliseconds=1, status=200)
        return self.deliveries.change(
            delivery_id, lambda one: one.record(delivery.claims, yes, now=self.now, jitter=0)
        )

    def delivered(self) -> set[str]:
        done = [one for one in self.deliveries.deliveries.values() if one.state is DeliveryState.DELIVERED]
        return {one.server for one in done}

    def run_until_nothing_more_begins(self) -> None:
        quiet = 0
        while quiet < 3:
            quiet = 0 if self.sender.poll() else quiet + 1
            self.sender.wait()


@pytest.fixture
def office() -> Office:
    return Office()


def test_hanging_receivers_keep_nobody_else_waiting(office: Office) -> None:
    for number in range(40):
        office.deliveries.add(make_delivery(number, server="hanging.example"))
    for number in range(100, 150):
        office.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    office.run_until_nothing_more_begins()
    assert len(office.delivered()) == 50
    assert office.most["hanging.example"] == SLOTS_PER_SERVER
    assert office.most["all"] <= SLOTS
    office.release.set()
    office.run_until_nothing_more_begins()
    assert len(office.begun) == len(set(office.begun)) == 90


def test_servers_that_were_slow_share_a_quarter_of_the_places(office: Office) -> None:
    slow = {f"hanging-{number}.example" for number in range(20)}
    office.sender._slow_until = dict.fromkeys(slow, 1e9)
    for number, server in enumerate(sorted(slow)):
        office.deliveries.add(make_delivery(number, server=server))
    office.run_until_nothing_more_begins()
    assert len(office.begun) == SLOTS // 4
    for number in range(100, 110):
        office.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    office.run_until_nothing_more_begins()
    assert len(office.delivered()) == 10
    office.release.set()
    office.run_until_nothing_more_begins()
    assert office.delivered() >= slow


def test_what_is_under_way_is_not_begun_twice(office: Office) -> None:
    office.deliveries.add(make_delivery(1, server="hanging.example"))
    office.run_until_nothing_more_begins()
    office.now += 1000  # the lease has run out, and yet we are at it
    office.run_until_nothing_more_begins()
    assert office.begun == ["msg_1"]
    office.release.set()
    office.sender.drain(10)


def test_a_store_that_is_away_stops_no_sender(office: Office) -> None:
    def away(delivery_id: str) -> None:
        raise Unavailable("Away.")

    sender, office.sender.deliver = office.sender, away
    office.deliveries.add(make_delivery(1))
    sender.poll()
    sender.drain(10)
    sender.deliver = office.deliver
    office.run_until_nothing_more_begins()
    assert office.delivered() == {"hooks.example"}


def test_a_machine_without_threads_to_spare_costs_no_place(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    for number in range(SLOTS + 1):
        office.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", exhausted)
        for _ in range(SLOTS):
            office.sender.poll()
    assert office.begun == []
    office.run_until_nothing_more_begins()
    assert len(office.delivered()) == SLOTS + 1


def test_an_event_reaches_the_callback_and_every_endpoint_that_wants_it(office: Office) -> None:
    office.endpoints.add(make_endpoint(1))
    office.endpoints.add(make_endpoint(2, events=(EventType.STARTED,)))
    office.endpoints.add(make_endpoint(3, disabled_at=1.0))
    office.endpoints.add(make_endpoint(4, owner="key-2"))
    callback = Callback(url="https://own.example:8443/x", events=("job.succeeded",), secret=None)
    office.deliveries.happen(make_event(callback=callback))
    office.sender.poll()
    office.sender.drain(10)
    made = {one.endpoint_id: one for one in office.deliveries.deliveries.values()}
    assert set(made) == {None, "ep_1", "ep_3"}
    assert made[None].server == "own.example:8443"
    assert made[None].state is made["ep_1"].state is DeliveryState.DELIVERED
    assert (made["ep_3"].state, made["ep_3"].why) == (DeliveryState.FAILED, "The endpoint was disabled.")
    assert office.deliveries.pending_events(limit=1) == ()


def test_the_same_event_makes_the_same_deliveries() -> None:
    event = make_event(callback=Callback(url="https://own.example/", events=("job.succeeded",)))
    first = deliveries_of(event, endpoints=[make_endpoint(1)], now=5.0)
    assert first == deliveries_of(event, endpoints=[make_endpoint(1)], now=5.0)
    assert len({one.id for one in first}) == 2
