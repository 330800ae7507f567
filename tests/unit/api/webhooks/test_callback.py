"""A job with a callback."""

from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.domain.delivery import Attempt
from tests.support.fakes.webhooks import a_delivery
from tests.unit.api.conftest import World

HOOK = "https://hooks.example/done?token=t0psecret"
DEFAULT = ("job.succeeded", "job.failed", "job.dead", "job.canceled")


def submit(world: World, *, params: dict[str, Any] | None = None, **headers: str) -> Any:
    content = {"Content-Type": "audio/mpeg", **headers}
    return world.client.post("/v1/jobs", content=b"ID3 song", params=params, headers=content)


def only_job(world: World) -> Any:
    (job,) = world.jobs.jobs.values()
    return job


def test_a_caller_without_a_key_gets_a_secret_for_this_job_once(world: World) -> None:
    answer = submit(world, params={"callback_url": HOOK})
    assert answer.status_code == 202
    secret = answer.json()["callback_secret"]
    assert secret.startswith("whsec_")
    callback = only_job(world).callback
    assert (callback.url, callback.events, callback.secret) == (HOOK, DEFAULT, secret)
    read = world.client.get(answer.headers["location"])
    assert "callback_secret" not in read.json()
    assert secret not in read.text
    assert "t0psecret" not in read.text


def test_two_jobs_have_two_secrets(world: World) -> None:
    secrets = {submit(world, params={"callback_url": HOOK}).json()["callback_secret"] for _ in range(2)}
    assert len(secrets) == 2


def test_a_key_signs_with_its_own_secret(world: World) -> None:
    token = world.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    answer = submit(world, params={"callback_url": HOOK}, Authorization=f"Bearer {token}")
    assert answer.json()["callback_secret"] is None
    assert only_job(world).callback.secret is None


def test_without_a_callback_there_is_none(world: World) -> None:
    answer = submit(world)
    assert answer.json()["callback_secret"] is None
    assert only_job(world).callback is None
    assert world.client.get(answer.headers["location"]).json()["deliveries"] == []


@pytest.mark.parametrize(
    "events", [["job.started,job.failed"], ["job.failed", "job.started"], ["job.failed, job.started", ""]]
)
def test_events_are_chosen_in_the_query(world: World, events: list[str]) -> None:
    assert submit(world, params={"callback_url": HOOK, "events": events}).status_code == 202
    assert only_job(world).callback.events == ("job.started", "job.failed")


@pytest.mark.parametrize("after", [False, True])
def test_a_form_names_its_callback_before_or_after_the_file(world: World, after: bool) -> None:
    fields = [("callback_url", (None, HOOK)), ("events", (None, "job.failed"))]
    file = [("file", ("a.mp3", b"ID3 song", "audio/mpeg"))]
    answer = world.client.post("/v1/jobs", files=[*file, *fields] if after else [*fields, *file])
    assert answer.status_code == 202
    callback = only_job(world).callback
    assert (callback.url, callback.events) == (HOOK, ("job.failed",))
    assert answer.json()["callback_secret"] == callback.secret


@pytest.mark.parametrize(
    "params",
    [
        {"callback_url": "https://127.0.0.1/"},
        {"callback_url": "https://unknown.example/"},
        {"callback_url": "http://hooks.example/"},
        {"callback_url": "https://me:pw@hooks.example/"},
        {"callback_url": "https://hooks.example:22/"},
        {"callback_url": "not an address"},
        {"callback_url": HOOK, "events": ["job.exploded"]},
        {"callback_url": HOOK, "events": ["webhook.test"]},
        {"events": ["job.failed"]},
    ],
)
@pytest.mark.parametrize("as_form", [False, True])
def test_a_callback_that_can_not_be_is_refused_and_nothing_is_stored(
    world: World, params: dict[str, Any], as_form: bool
) -> None:
    if as_form:
        fields = [
            (name, (None, ",".join(value) if isinstance(value, list) else value))
            for name, value in params.items()
        ]
        answer = world.client.post("/v1/jobs", files=[("file", ("a.mp3", b"ID3", "audio/mpeg")), *fields])
    else:
        answer = submit(world, params=params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"address_refused", "bad_request"}
    assert world.jobs.jobs == {}
    assert world.audio.objects == {}


def test_the_job_shows_every_attempt_but_neither_address_nor_answer(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    attempt = Attempt(
        at=5.0, milliseconds=84, status=503, error="It answered 503.", response="internal words"
    )
    job_id = location.rpartition("/")[2]
    world.deliveries.add(a_delivery(job_id=job_id, url=HOOK, attempts=(attempt,), due_at=10.0))
    answer = world.client.get(location)
    (delivery,) = answer.json()["deliveries"]
    assert delivery["to"] == "https://hooks.example"
    assert delivery["state"] == "pending"
    assert delivery["next_attempt_at"] == "1970-01-01T00:00:10Z"
    assert delivery["attempts"] == [
        {"at": "1970-01-01T00:00:05Z", "milliseconds": 84, "status": 503, "error": "It answered 503."}
    ]
    assert "secret words" not in answer.text
    assert "t0psecret" not in answer.text


def test_an_attempt_changes_the_etag_of_the_job(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    before = world.client.get(location).headers["etag"]
    world.deliveries.add(a_delivery(job_id=location.rpartition("/")[2]))
    assert world.client.get(location, headers={"If-None-Match": before}).status_code == 200


def test_whoever_has_the_job_can_send_its_webhook_again(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    done = a_delivery(job_id=location.rpartition("/")[2], state="failed", due_at=None)
    world.deliveries.add(done)
    answer = world.client.post(f"{location}/deliveries/{done.id}/redeliver")
    assert answer.status_code == 202
    assert answer.json()["state"] == "pending"
    assert world.deliveries.get(done.id).due_at is not None


def test_a_delivery_of_another_job_can_not_be_sent_again_by_this_one(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    world.deliveries.add(a_delivery(job_id="another"))
    answer = world.client.post(f"{location}/deliveries/msg_1/redeliver")
    assert answer.status_code == 404
    token = world.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    foreign = world.client.post(
        f"{location}/deliveries/msg_1/redeliver", headers={"Authorization": f"Bearer {token}"}
    )
    assert foreign.status_code == 404


def test_what_is_being_sent_can_not_be_sent_again(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    world.deliveries.add(a_delivery(job_id=location.rpartition("/")[2], leased=True))
    assert world.client.post(f"{location}/deliveries/msg_1/redeliver").status_code == 409


def test_a_direct_upload_names_its_callback_when_it_is_asked_for(world: World) -> None:
    wish = {"bytes": 11, "media_type": "audio/mpeg", "callback_url": HOOK, "events": ["job.failed"]}
    offer = world.client.post("/v1/uploads", json=wish).json()
    callback = only_job(world).callback
    assert (callback.url, callback.events) == (HOOK, ("job.failed",))
    assert offer["callback_secret"] == callback.secret
    world.direct.put(offer["requests"][0]["url"], b"ID3 song...")
    submitted = world.client.post("/v1/jobs", json={"upload_id": offer["upload_id"]})
    assert submitted.status_code == 202, submitted.text
    assert submitted.json()["callback_secret"] is None


def test_a_direct_upload_with_a_callback_that_can_not_be_is_refused(world: World) -> None:
    wish = {"bytes": 11, "callback_url": "https://169.254.169.254/"}
    answer = world.client.post("/v1/uploads", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")
    assert world.jobs.jobs == {}


def test_a_repeated_request_gets_the_same_secret_and_another_callback_is_another_request(
    world: World,
) -> None:
    form: list[Any] = [("file", ("a.mp3", b"ID3 song", "audio/mpeg")), ("callback_url", (None, HOOK))]
    key = {"Idempotency-Key": "one"}
    first = world.client.post("/v1/jobs", files=form, headers=key)
    again = world.client.post("/v1/jobs", files=form, headers=key)
    assert first.json()["callback_secret"] == again.json()["callback_secret"] is not None
    other = [form[0], ("callback_url", (None, "https://hooks.example/other"))]
    assert world.client.post("/v1/jobs", files=other, headers=key).status_code in {409, 422}
    assert len(world.jobs.jobs) == 1


def test_a_deleted_job_takes_its_webhooks_with_it(world: World) -> None:
    location = submit(world, params={"callback_url": HOOK}).headers["location"]
    world.deliveries.add(a_delivery(job_id=location.rpartition("/")[2]))
    assert world.client.delete(location).status_code == 204
    assert world.deliveries.deliveries == {}
