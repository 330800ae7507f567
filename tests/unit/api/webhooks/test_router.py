"""Registered addresses, their secret and their log."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.domain.webhooks.delivery import Attempt, DeliveryState
from tests.support.api_harness import ApiHarness
from tests.support.fakes.webhooks import make_delivery

HOOK = "https://hooks.example/songs"


@dataclass
class Client:
    """Speaks for one API key."""

    api: ApiHarness
    token: str

    @property
    def key_id(self) -> str:
        return self.token.split("_")[1]

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        return self.api.client.request(
            method, f"/v1/webhooks{path}", headers={"Authorization": f"Bearer {self.token}"}, **more
        )


@pytest.fixture
def ask(api: ApiHarness) -> Client:
    return Client(api, api.token(Scope.JOBS_READ, Scope.JOBS_WRITE))


@pytest.fixture
def other_key(api: ApiHarness) -> Client:
    return Client(api, api.token(Scope.JOBS_READ, Scope.JOBS_WRITE))


def registered(ask: Client, **changes: Any) -> str:
    answer = ask("POST", "", json={"url": HOOK, **changes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_an_endpoint_can_be_registered_listed_updated_and_deleted(ask: Client) -> None:
    answer = ask("POST", "", json={"url": "https://HOOKS.example/songs", "description": "  the  shop "})
    made = answer.json()
    assert answer.headers["location"] == f"/v1/webhooks/{made['id']}"
    assert (made["url"], made["description"], made["disabled_at"]) == (HOOK, "the shop", None)
    assert made["events"] == [
        "job.succeeded",
        "job.failed",
        "job.dead",
        "job.canceled",
        "batch.completed",
    ]
    assert ask("GET", "").json() == {"webhooks": [made]}
    assert ask("GET", f"/{made['id']}").json() == made
    changed = ask("PATCH", f"/{made['id']}", json={"events": ["job.failed"]}).json()
    assert changed == made | {"events": ["job.failed"]}
    assert ask("DELETE", f"/{made['id']}").status_code == 204
    assert ask("GET", "").json() == {"webhooks": []}
    assert ask("GET", f"/{made['id']}").status_code == 404


def test_a_disabled_endpoint_can_be_enabled_again(ask: Client) -> None:
    made = registered(ask)
    disabled = ask("PATCH", f"/{made}", json={"enabled": False}).json()
    assert disabled["disabled_why"] == "It was disabled by hand."
    assert ask("PATCH", f"/{made}", json={"enabled": True}).json()["disabled_at"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "https://10.0.0.1/"}, 400),
        ({"url": "http://hooks.example/"}, 400),
        ({"url": HOOK, "events": ["job.exploded"]}, 400),
        ({"url": HOOK, "description": "x" * 201}, 400),
        ({}, 422),
        ({"url": 7}, 422),
        ({"url": HOOK, "events": "job.failed"}, 422),
    ],
)
def test_an_invalid_endpoint_is_refused(ask: Client, body: dict[str, Any], status: int) -> None:
    answer = ask("POST", "", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert ask("GET", "").json() == {"webhooks": []}
    if "url" in body:
        made = registered(ask)
        assert ask("PATCH", f"/{made}", json=body).status_code == status


def test_an_api_key_has_a_limited_number_of_endpoints(ask: Client) -> None:
    for _ in range(20):
        registered(ask)
    assert ask("POST", "", json={"url": HOOK}).status_code == 409


ROUTES = [
    ("POST", "", {"url": HOOK}),
    ("GET", "", None),
    ("GET", "/secret", None),
    ("POST", "/secret/rotate", None),
    ("GET", "/deliveries", None),
    ("POST", "/redeliver", {"since": "2026-01-01T00:00:00Z"}),
    ("POST", "/deliveries/msg_1/redeliver", None),
    ("GET", "/ep_1", None),
    ("PATCH", "/ep_1", {}),
    ("DELETE", "/ep_1", None),
    ("POST", "/ep_1/test", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_webhooks_need_an_api_key(
    api: ApiHarness, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = api.client.request(method, f"/v1/webhooks{path}", json=body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("method", "path", "body"), [route for route in ROUTES if "ep_1" in route[1] or "msg_1" in route[1]]
)
def test_the_webhooks_of_another_key_are_not_found(
    ask: Client, other_key: Client, method: str, path: str, body: dict[str, Any] | None
) -> None:
    made = registered(ask)
    ask.api.deliveries.add(make_delivery(owner=ask.key_id, endpoint_id=made))
    assert other_key(method, path.replace("ep_1", made), json=body).status_code == 404
    assert other_key("GET", "/deliveries", params={"endpoint_id": made}).status_code == 404
    assert other_key("GET", "/deliveries").json() == {"deliveries": []}
    since = {"since": "1970-01-01T00:00:00Z", "endpoint_id": made}
    assert other_key("POST", "/redeliver", json=since).status_code == 404
    assert ask("GET", f"/{made}").status_code == 200


def test_an_api_key_can_rotate_its_secret_with_an_overlap(ask: Client, other_key: Client) -> None:
    first = ask("GET", "/secret")
    assert first.headers["cache-control"] == "no-store"
    assert ask("GET", "/secret").json() == first.json()
    assert other_key("GET", "/secret").json()["secret"] != first.json()["secret"]
    second = ask("POST", "/secret/rotate", json={"overlap_seconds": 60}).json()
    assert second["secret"] != first.json()["secret"]
    assert len(second["old"]) == 1
    assert first.json()["secret"] not in json.dumps(second)
    assert ask("POST", "/secret/rotate", json={"overlap_seconds": -1}).status_code == 422
    third = ask("POST", "/secret/rotate", json={"overlap_seconds": 0}).json()
    assert len(third["old"]) == 1
    assert ask.api.endpoints.secrets(ask.key_id).current == third["secret"]


def test_a_key_with_read_scope_cannot_rotate_the_secret(api: ApiHarness) -> None:
    reader = Client(api, api.token(Scope.JOBS_READ))
    assert reader("GET", "/secret").status_code == 200
    assert reader("POST", "/secret/rotate").status_code == 403
    assert reader("POST", "", json={"url": HOOK}).status_code == 403


def test_a_test_event_is_due_at_once(ask: Client) -> None:
    made = registered(ask)
    answer = ask("POST", f"/{made}/test")
    assert answer.status_code == 202
    delivery = ask.api.deliveries.get(answer.json()["id"])
    body = json.loads(delivery.body)
    assert (body["type"], body["data"]) == ("webhook.test", {"endpoint_id": made})
    assert (delivery.url, delivery.server, delivery.endpoint_id) == (HOOK, "hooks.example", made)
    assert delivery.due_at == delivery.created_at


def test_the_owner_sees_every_attempt_with_the_response_of_public_receivers(ask: Client) -> None:
    made = registered(ask)
    public = Attempt(at=5.0, milliseconds=84, status=500, error="It answered 500.", response="words")
    internal = Attempt(at=6.0, milliseconds=8, status=500, response="internal words", is_internal=True)
    ask.api.deliveries.add(
        make_delivery(1, owner=ask.key_id, endpoint_id=made, attempts=(public, internal), url=HOOK)
    )
    ask.api.deliveries.add(make_delivery(2, owner=ask.key_id))
    found = ask("GET", "/deliveries", params={"endpoint_id": made})
    (delivery,) = found.json()["deliveries"]
    assert (delivery["url"], delivery["job_id"]) == (HOOK, "job-1")
    assert [attempt["response"] for attempt in delivery["attempts"]] == ["words", None]
    assert "internal words" not in found.text
    everything = ask("GET", "/deliveries").json()["deliveries"]
    assert [one["id"] for one in everything] == ["msg_2", "msg_1"]
    late = ask("GET", "/deliveries", params={"since": "1970-01-01T00:00:02Z"}).json()["deliveries"]
    assert [one["id"] for one in late] == ["msg_2"]


def test_a_redelivery_keeps_its_id(ask: Client) -> None:
    made = registered(ask)
    done = make_delivery(
        owner=ask.key_id, endpoint_id=made, state=DeliveryState.DELIVERED, due_at=None, tries=3
    )
    ask.api.deliveries.add(done)
    answer = ask("POST", f"/deliveries/{done.id}/redeliver")
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["state"]) == (done.id, "pending")
    assert ask.api.deliveries.get(done.id).tries == 0


def test_all_deliveries_that_failed_since_a_time_can_be_redelivered(ask: Client) -> None:
    made = registered(ask)
    for number, state in ((1, "failed"), (2, "failed"), (3, "delivered"), (4, "failed")):
        ask.api.deliveries.add(
            make_delivery(
                number,
                owner=ask.key_id,
                endpoint_id=made if number < 4 else None,
                state=DeliveryState(state),
                due_at=None,
            )
        )
    only_endpoint = {"since": "1970-01-01T00:00:02Z", "endpoint_id": made}
    assert ask("POST", "/redeliver", json=only_endpoint).json() == {"redelivered": 1, "more": False}
    everything = {"since": "1970-01-01T00:00:00Z"}
    assert ask("POST", "/redeliver", json=everything).json() == {"redelivered": 2, "more": False}
    states = {one.id: one.state for one in ask.api.deliveries.deliveries.values()}
    assert states == {"msg_1": "pending", "msg_2": "pending", "msg_3": "delivered", "msg_4": "pending"}
    assert ask("POST", "/redeliver", json={"since": "yesterday"}).status_code == 422
