"""Endpoints and secrets, over the fake and over Redis."""

import threading
from dataclasses import replace

import pytest

from shared.domain.webhooks.endpoint import Endpoint
from shared.errors import NotFound
from shared.ports.webhooks import EndpointStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from tests.contract.conftest import KINDS
from tests.support.fakes.webhooks import MemoryEndpointStore, make_endpoint


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, prefix: str) -> EndpointStore:
    if request.param == "memory":
        return MemoryEndpointStore()
    return RedisEndpointStore(request.getfixturevalue("client"), prefix=prefix)


def test_endpoints_are_listed_by_owner_oldest_first(store: EndpointStore) -> None:
    for number, owner in ((2, "key-1"), (1, "key-1"), (3, "key-2")):
        store.add(make_endpoint(number, owner=owner))
    assert [one.id for one in store.list_for_owner("key-1")] == ["ep_1", "ep_2"]
    assert [one.id for one in store.list_all()] == ["ep_1", "ep_2", "ep_3"]
    assert store.list_for_owner("nobody") == ()
    assert store.get("ep_3") == make_endpoint(3, owner="key-2")


def test_a_removed_endpoint_is_gone(store: EndpointStore) -> None:
    store.add(make_endpoint())
    store.remove("ep_1")
    store.remove("ep_1")
    assert store.list_for_owner("key-1") == ()
    with pytest.raises(NotFound):
        store.get("ep_1")
    with pytest.raises(NotFound):
        store.change("ep_1", lambda one: one)


def test_concurrent_changes_are_all_applied(store: EndpointStore) -> None:
    store.add(make_endpoint(description=""))

    def lengthen(one: Endpoint) -> Endpoint:
        return replace(one, description=f"{one.description}x")

    threads = [threading.Thread(target=store.change, args=["ep_1", lengthen]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("ep_1").description == "xxxxxx"


def test_a_key_has_its_own_secret_from_the_first_read(store: EndpointStore) -> None:
    first = store.secrets("key-1")
    assert first.current.startswith("whsec_")
    assert store.secrets("key-1") == first
    assert store.secrets("key-2").current != first.current


def test_a_rotated_secret_stays(store: EndpointStore) -> None:
    first = store.secrets("key-1")
    second = store.secrets("key-1", lambda one: one.rotate(now=100.0, overlap_seconds=50))
    assert store.secrets("key-1") == second
    assert second.valid(now=149.0) == (second.current, first.current)
    assert second.valid(now=151.0) == (second.current,)
