"""Many deliveries at once: counts and orders, never seconds."""

import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from shared.domain.job_fields import Callback
from shared.domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from shared.domain.webhooks.events import EventType
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
class Harness:
    """Receivers of `hanging.*` are held until `release`; all others say yes at once."""

    deliveries: MemoryDeliveryStore = field(default_factory=MemoryDeliveryStore)
    endpoints: MemoryEndpointStore = field(default_factory=MemoryEndpointStore)
    release: threading.Event = field(default_factory=threading.Event)
    now: float = 100.0
    peak: Counter[str] = field(default_factory=Counter)
    started: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._in_progress: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.dispatcher = Dispatcher(
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
            self.started.append(delivery_id)
            for name in (delivery.server, "all"):
                self._in_progress[name] += 1
                self.peak[name] = max(self.peak[name], self._in_progress[name])
        if delivery.server.startswith("hanging"):
            assert self.release.wait(30)
        with self._lock:
            for name in (delivery.server, "all"):
                self._in_progress[name] -= 1
        yes = Attempt(at=self.now, milliseconds=1, status=200)
        return self.deliveries.change(
            delivery_id, lambda one: one.record(delivery.claims, yes, now=self.now, jitter=0)
        )

    def delivered(self) -> set[str]:
        done = [one for one in self.deliveries.deliveries.values() if one.state is DeliveryState.DELIVERED]
        return {one.server for one in done}

    def run_until_idle(self) -> None:
        quiet = 0
        while quiet < 3:
            quiet = 0 if self.dispatcher.poll() else quiet + 1
            self.dispatcher.wait()


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_hanging_receivers_do_not_delay_other_receivers(harness: Harness) -> None:
    for number in range(40):
        harness.deliveries.add(make_delivery(number, server="hanging.example"))
    for number in range(100, 150):
        harness.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    harness.run_until_idle()
    assert len(harness.delivered()) == 50
    assert harness.peak["hanging.example"] == SLOTS_PER_SERVER
    assert harness.peak["all"] <= SLOTS
    harness.release.set()
    harness.run_until_idle()
    assert len(harness.started) == len(set(harness.started)) == 90


def test_slow_servers_share_a_quarter_of_the_slots(harness: Harness) -> None:
    slow = {f"hanging-{number}.example" for number in range(20)}
    harness.dispatcher._slow_until = dict.fromkeys(slow, 1e9)
    for number, server in enumerate(sorted(slow)):
        harness.deliveries.add(make_delivery(number, server=server))
    harness.run_until_idle()
    assert len(harness.started) == SLOTS // 4
    for number in range(100, 110):
        harness.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    harness.run_until_idle()
    assert len(harness.delivered()) == 10
    harness.release.set()
    harness.run_until_idle()
    assert harness.delivered() >= slow


def test_a_delivery_in_progress_is_not_started_again(harness: Harness) -> None:
    harness.deliveries.add(make_delivery(1, server="hanging.example"))
    harness.run_until_idle()
    harness.now += 1000  # the lease has run out, and yet we are at it
    harness.run_until_idle()
    assert harness.started == ["msg_1"]
    harness.release.set()
    harness.dispatcher.drain(10)


def test_an_unavailable_store_does_not_stop_the_dispatcher(harness: Harness) -> None:
    def away(delivery_id: str) -> None:
        raise Unavailable("Away.")

    dispatcher, harness.dispatcher.deliver = harness.dispatcher, away
    harness.deliveries.add(make_delivery(1))
    dispatcher.poll()
    dispatcher.drain(10)
    dispatcher.deliver = harness.deliver
    harness.run_until_idle()
    assert harness.delivered() == {"hooks.example"}


def test_a_thread_that_cannot_start_frees_its_slot(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    for number in range(SLOTS + 1):
        harness.deliveries.add(make_delivery(number, server=f"good-{number}.example"))
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", exhausted)
        for _ in range(SLOTS):
            harness.dispatcher.poll()
    assert harness.started == []
    harness.run_until_idle()
    assert len(harness.delivered()) == SLOTS + 1


def test_an_event_is_delivered_to_its_callback_and_to_every_subscribed_endpoint(harness: Harness) -> None:
    harness.endpoints.add(make_endpoint(1))
    harness.endpoints.add(make_endpoint(2, events=(EventType.STARTED,)))
    harness.endpoints.add(make_endpoint(3, disabled_at=1.0))
    harness.endpoints.add(make_endpoint(4, owner="key-2"))
    callback = Callback(url="https://own.example:8443/x", events=("job.succeeded",), secret=None)
    harness.deliveries.happen(make_event(callback=callback))
    harness.dispatcher.poll()
    harness.dispatcher.drain(10)
    made = {one.endpoint_id: one for one in harness.deliveries.deliveries.values()}
    assert set(made) == {None, "ep_1", "ep_3"}
    assert made[None].server == "own.example:8443"
    assert made[None].state is made["ep_1"].state is DeliveryState.DELIVERED
    assert (made["ep_3"].state, made["ep_3"].why) == (DeliveryState.FAILED, "The endpoint was disabled.")
    assert harness.deliveries.pending_events(limit=1) == ()


def test_the_same_event_makes_the_same_deliveries() -> None:
    event = make_event(callback=Callback(url="https://own.example/", events=("job.succeeded",)))
    first = deliveries_of(event, endpoints=[make_endpoint(1)], now=5.0)
    assert first == deliveries_of(event, endpoints=[make_endpoint(1)], now=5.0)
    assert len({one.id for one in first}) == 2
