"""A job with a callback."""

from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.domain.webhooks.delivery import Attempt
from tests.support.api_harness import ApiHarness
from tests.support.fakes.webhooks import make_delivery

HOOK = "https://hooks.example/done?token=t0psecret"
DEFAULT = ("job.succeeded", "job.failed", "job.dead", "job.canceled")


def submit(api: ApiHarness, *, params: dict[str, Any] | None = None, **headers: str) -> Any:
    content = {"Content-Type": "audio/mpeg", **headers}
    return api.client.post("/v1/jobs", content=b"ID3 song", params=params, headers=content)


def only_job(api: ApiHarness) -> Any:
    (job,) = api.jobs.jobs.values()
    return job


def test_a_caller_without_a_key_gets_the_jobs_secret_once(api: ApiHarness) -> None:
    answer = submit(api, params={"callback_url": HOOK})
    assert answer.status_code == 202
    secret = answer.json()["callback_secret"]
    assert secret.startswith("whsec_")
    callback = only_job(api).callback
    assert (callback.url, callback.events, callback.secret) == (HOOK, DEFAULT, secret)
    read = api.client.get(answer.headers["location"])
    assert "callback_secret" not in read.json()
    assert secret not in read.text
    assert "t0psecret" not in read.text


def test_two_jobs_have_two_secrets(api: ApiHarness) -> None:
    secrets = {submit(api, params={"callback_url": HOOK}).json()["callback_secret"] for _ in range(2)}
    assert len(secrets) == 2


def test_the_callback_of_an_api_key_is_signed_with_its_secret(api: ApiHarness) -> None:
    token = api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    answer = submit(api, params={"callback_url": HOOK}, Authorization=f"Bearer {token}")
    assert answer.json()["callback_secret"] is None
    assert only_job(api).callback.secret is None


def test_a_job_has_no_callback_by_default(api: ApiHarness) -> None:
    answer = submit(api)
    assert answer.json()["callback_secret"] is None
    assert only_job(api).callback is None
    assert api.client.get(answer.headers["location"]).json()["deliveries"] == []


@pytest.mark.parametrize(
    "events", [["job.started,job.failed"], ["job.failed", "job.started"], ["job.failed, job.started", ""]]
)
def test_the_query_can_choose_events(api: ApiHarness, events: list[str]) -> None:
    assert submit(api, params={"callback_url": HOOK, "events": events}).status_code == 202
    assert only_job(api).callback.events == ("job.started", "job.failed")


@pytest.mark.parametrize("after", [False, True])
def test_the_callback_fields_of_a_form_can_come_before_or_after_the_file(
    api: ApiHarness, after: bool
) -> None:
    fields = [("callback_url", (None, HOOK)), ("events", (None, "job.failed"))]
    file = [("file", ("a.mp3", b"ID3 song", "audio/mpeg"))]
    answer = api.client.post("/v1/jobs", files=[*file, *fields] if after else [*fields, *file])
    assert answer.status_code == 202
    callback = only_job(api).callback
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
def test_an_invalid_callback_is_refused_and_nothing_is_stored(
    api: ApiHarness, params: dict[str, Any], as_form: bool
) -> None:
    if as_form:
        fields = [
            (name, (None, ",".join(value) if isinstance(value, list) else value))
            for name, value in params.items()
        ]
        answer = api.client.post("/v1/jobs", files=[("file", ("a.mp3", b"ID3", "audio/mpeg")), *fields])
    else:
        answer = submit(api, params=params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"address_refused", "bad_request"}
    assert api.jobs.jobs == {}
    assert api.audio.objects == {}


def test_a_job_shows_every_attempt_but_no_address_or_response(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    attempt = Attempt(
        at=5.0, milliseconds=84, status=503, error="It answered 503.", response="internal words"
    )
    job_id = location.rpartition("/")[2]
    api.deliveries.add(make_delivery(job_id=job_id, url=HOOK, attempts=(attempt,), due_at=10.0))
    answer = api.client.get(location)
    (delivery,) = answer.json()["deliveries"]
    assert delivery["to"] == "https://hooks.example"
    assert delivery["state"] == "pending"
    assert delivery["next_attempt_at"] == "1970-01-01T00:00:10.000Z"
    assert delivery["attempts"] == [
        {"at": "1970-01-01T00:00:05.000Z", "milliseconds": 84, "status": 503, "error": "It answered 503."}
    ]
    assert "secret words" not in answer.text
    assert "t0psecret" not in answer.text


def test_a_delivery_attempt_changes_the_etag_of_its_job(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    before = api.client.get(location).headers["etag"]
    api.deliveries.add(make_delivery(job_id=location.rpartition("/")[2]))
    assert api.client.get(location, headers={"If-None-Match": before}).status_code == 200


def test_a_caller_who_may_change_a_job_can_redeliver_its_webhook(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    done = make_delivery(job_id=location.rpartition("/")[2], state="failed", due_at=None)
    api.deliveries.add(done)
    answer = api.client.post(f"{location}/deliveries/{done.id}/redeliver")
    assert answer.status_code == 202
    assert answer.json()["state"] == "pending"
    assert api.deliveries.get(done.id).due_at is not None


def test_a_delivery_cannot_be_redelivered_through_another_job(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    api.deliveries.add(make_delivery(job_id="another"))
    answer = api.client.post(f"{location}/deliveries/msg_1/redeliver")
    assert answer.status_code == 404
    token = api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    foreign = api.client.post(
        f"{location}/deliveries/msg_1/redeliver", headers={"Authorization": f"Bearer {token}"}
    )
    assert foreign.status_code == 404


def test_a_delivery_that_is_being_sent_cannot_be_redelivered(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    api.deliveries.add(make_delivery(job_id=location.rpartition("/")[2], leased=True))
    assert api.client.post(f"{location}/deliveries/msg_1/redeliver").status_code == 409


def test_a_presigned_upload_can_have_a_callback(api: ApiHarness) -> None:
    options = {"bytes": 11, "media_type": "audio/mpeg", "callback_url": HOOK, "events": ["job.failed"]}
    presigned = api.client.post("/v1/uploads", json=options).json()
    callback = only_job(api).callback
    assert (callback.url, callback.events) == (HOOK, ("job.failed",))
    assert presigned["callback_secret"] == callback.secret
    api.direct.put(presigned["requests"][0]["url"], b"ID3 song...")
    submitted = api.client.post("/v1/jobs", json={"upload_id": presigned["upload_id"]})
    assert submitted.status_code == 202, submitted.text
    assert submitted.json()["callback_secret"] is None


def test_a_presigned_upload_with_an_invalid_callback_is_refused(api: ApiHarness) -> None:
    options = {"bytes": 11, "callback_url": "https://169.254.169.254/"}
    answer = api.client.post("/v1/uploads", json=options)
    assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")
    assert api.jobs.jobs == {}


def test_a_repeated_request_gets_the_same_secret_and_another_callback_is_refused(
    api: ApiHarness,
) -> None:
    form: list[Any] = [("file", ("a.mp3", b"ID3 song", "audio/mpeg")), ("callback_url", (None, HOOK))]
    key = {"Idempotency-Key": "one"}
    first = api.client.post("/v1/jobs", files=form, headers=key)
    again = api.client.post("/v1/jobs", files=form, headers=key)
    assert first.json()["callback_secret"] == again.json()["callback_secret"] is not None
    other = [form[0], ("callback_url", (None, "https://hooks.example/other"))]
    assert api.client.post("/v1/jobs", files=other, headers=key).status_code in {409, 422}
    assert len(api.jobs.jobs) == 1


def test_deleting_a_job_deletes_its_deliveries(api: ApiHarness) -> None:
    location = submit(api, params={"callback_url": HOOK}).headers["location"]
    api.deliveries.add(make_delivery(job_id=location.rpartition("/")[2]))
    assert api.client.delete(location).status_code == 204
    assert api.deliveries.deliveries == {}
