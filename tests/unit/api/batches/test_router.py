"""Batches: all or nothing, one status, one webhook, and nobody else's business."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from fastapi import Request

from api.batches.reader import MAX_BODY_BYTES, BatchReader
from api.config import RateLimits
from api.http.limits.slow_clients import MinRateTimeout
from api.uploads.receiving.buffer_pool import BufferPool
from shared.domain.api_key import Scope
from shared.domain.batch import MAX_ITEMS, Batch
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.errors import Conflict, Overloaded, Unavailable
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_report
from tests.support.fakes.jobs import MemoryRateLimiter
from tests.support.fakes.webhooks import make_delivery

SONG = b"fLaC" + bytes(range(256)) * 4
URL = "https://files.example/song.flac?signature=t0psecret"
HOOK = "https://hooks.example/done?token=t0psecret"


def bearing(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def upload(api: ApiHarness, *, token: str | None = None, arrive: bool = True, body: bytes = SONG) -> str:
    options = {"bytes": len(body), "media_type": "audio/flac", "filename": "up.flac"}
    presigned = api.client.post("/v1/uploads", json=options, headers=bearing(token)).json()
    if arrive:
        api.direct.put(presigned["requests"][0]["url"], body)
    return str(presigned["upload_id"])


def create(api: ApiHarness, *items: dict[str, Any], token: str | None = None, **options: Any) -> Any:
    headers = bearing(token) | options.pop("headers", {})
    return api.client.post("/v1/batches", json={"items": list(items), **options}, headers=headers)


def end(api: ApiHarness, job_id: str, *, well: bool = True) -> None:
    now = time.time()
    api.jobs.change(job_id, lambda job: job.start(worker="w", now=now, lease_seconds=15))
    problem = Problem(code="undecodable", message="x", retryable=True)
    api.jobs.change(
        job_id,
        lambda job: (
            job.succeed(job.attempts, make_report(), now=now)
            if well
            else job.fail(job.attempts, problem, now=now)
        ),
    )


def only_batch(api: ApiHarness) -> Batch:
    (batch,) = api.batches.batches.values()
    return batch


def test_uploads_and_source_urls_become_jobs_of_one_batch(api: ApiHarness) -> None:
    first = upload(api)
    answer = create(
        api,
        {"upload_id": first, "start_seconds": 3, "filename": "sub/new name.flac"},
        {"source_url": URL, "filename": "b.flac"},
        name=" Spring\n catalogue ",
    )
    assert answer.status_code == 202, answer.text
    batch = answer.json()
    assert answer.headers["location"] == f"/v1/batches/{batch['id']}"
    assert (batch["name"], batch["state"], batch["total"], batch["done"]) == (
        "Spring catalogue",
        "running",
        2,
        0,
    )
    ids = [item["job_id"] for item in batch["items"]]
    jobs = [api.jobs.get(job_id) for job_id in ids]
    assert ids[0] == first
    assert [(job.state, job.queue, job.batch_id) for job in jobs] == [
        (JobState.QUEUED, "batch", batch["id"])
    ] * 2
    assert (jobs[0].start_seconds, jobs[0].input.filename) == (3, "new name.flac")
    assert jobs[1].source is not None
    assert jobs[1].source.url == URL
    assert api.queue.messages == {"batch": ids}
    assert "t0psecret" not in answer.text


def test_a_job_of_an_anonymous_caller_does_not_name_its_batch(api: ApiHarness) -> None:
    mine = api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    batch = create(api, {"source_url": URL}, token=mine).json()
    job = api.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}", headers=bearing(mine)).json()
    assert job["batch_id"] == batch["id"]
    batch = create(api, {"source_url": URL}).json()
    job = api.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}")
    assert job.json()["batch_id"] is None
    assert batch["id"] not in job.text


def test_a_batch_shows_the_state_of_each_item(api: ApiHarness) -> None:
    location = create(api, *[{"source_url": URL}] * 4).headers["location"]
    ids = [item.job_id for item in only_batch(api).items]
    end(api, ids[0])
    end(api, ids[1], well=False)
    api.jobs.change(ids[2], lambda job: job.start(worker="w", now=time.time(), lease_seconds=15))
    answer = api.client.get(location)
    batch = answer.json()
    assert {name: count for name, count in batch["counts"].items() if count} == {
        "succeeded": 1,
        "failed": 1,
        "running": 1,
        "queued": 1,
    }
    assert (batch["done"], batch["progress"], batch["completed_at"]) == (2, 0.5, None)
    assert [(one["index"], one["state"], one["verdict"], one["problem"]) for one in batch["items"]] == [
        (0, "succeeded", "432", None),
        (1, "failed", None, "undecodable"),
        (2, "running", None, None),
        (3, "queued", None, None),
    ]
    assert int(answer.headers["retry-after"]) >= 1
    same = api.client.get(location, headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    for job_id in ids[2:]:
        api.jobs.remove(job_id)
    done = api.client.get(location, headers={"If-None-Match": answer.headers["etag"]})
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["counts"]["gone"]) == ("completed", 2)
    assert done.json()["expires_at"] is not None
    assert "retry-after" not in done.headers


BAD: dict[str, Any] = {
    "neither": {},
    "both": {"upload_id": "x", "source_url": URL},
    "an unknown upload": {"upload_id": "nobody"},
    "a private address": {"source_url": "https://127.0.0.1/a.wav"},
    "an unknown name": {"source_url": "https://unknown.example/a.wav"},
}


@pytest.mark.parametrize("case", BAD)
def test_the_error_names_the_invalid_item_and_nothing_is_created(api: ApiHarness, case: str) -> None:
    good = upload(api)
    answer = create(api, {"upload_id": good}, {"source_url": URL}, BAD[case])
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_item")
    assert (answer.json()["item"], answer.json()["detail"].partition(":")[0]) == (2, "items[2]")
    nothing_was_made(api, good)
    assert create(api, {"upload_id": good}).status_code == 202


def nothing_was_made(api: ApiHarness, *uploads: str) -> None:
    assert api.batches.batches == {}
    assert set(api.jobs.jobs) == set(uploads)
    assert all(api.jobs.get(one).state is JobState.AWAITING_UPLOAD for one in uploads)
    assert api.queue.messages == {}


def test_the_error_names_an_upload_that_cannot_be_a_job(api: ApiHarness) -> None:
    good, late, twice = upload(api), upload(api, arrive=False), upload(api)
    canceled, foreign = upload(api), upload(api, token=api.token(Scope.JOBS_WRITE))
    api.client.post(f"/v1/jobs/{canceled}/cancel")
    submitted = upload(api)
    api.client.post("/v1/jobs", json={"upload_id": submitted})
    for bad in ([late], [twice, twice], [canceled], [foreign], [submitted]):
        answer = create(api, {"upload_id": good}, *({"upload_id": one} for one in bad))
        assert (answer.status_code, answer.json()["item"]) == (422, len(bad)), answer.text
    assert api.jobs.get(good).state is JobState.AWAITING_UPLOAD


def test_the_error_names_an_upload_that_is_not_audio_and_it_is_deleted(api: ApiHarness) -> None:
    good, picture = upload(api), upload(api, body=b"\x89PNG\r\n\x1a\n" + bytes(100))
    answer = create(api, {"upload_id": good}, {"upload_id": picture})
    assert (answer.status_code, answer.json()["item"]) == (422, 1)
    nothing_was_made(api, good)
    assert set(api.audio.objects) == {good}


def test_an_upload_that_changes_while_it_is_checked_is_checked_again(api: ApiHarness) -> None:
    one, create_batch = upload(api), api.batches.create

    def too_late(batch: Any, steps: Any) -> None:
        api.batches.create = create_batch  # type: ignore[method-assign]
        api.jobs.change(one, lambda job: job.cancel(now=time.time()))
        create_batch(batch, steps)

    api.batches.create = too_late  # type: ignore[method-assign]
    answer = create(api, {"source_url": URL}, {"upload_id": one})
    assert (answer.status_code, answer.json()["item"]) == (422, 1)
    assert set(api.jobs.jobs) == {one}


@pytest.mark.parametrize(
    "options",
    [
        {"items": []},
        {"items": [{"source_url": URL}] * (MAX_ITEMS + 1)},
        {"items": [{"source_url": URL, "start_seconds": -1}]},
        {"items": [{"source_url": URL, "surprise": 1}]},
        {"items": [{"source_url": URL}], "queue": "soon"},
        {"items": [{"source_url": URL}], "name": "x" * 201},
        {},
    ],
)
def test_a_malformed_batch_is_refused(api: ApiHarness, options: Any) -> None:
    answer = api.client.post("/v1/batches", json=options)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    nothing_was_made(api)


def test_a_body_that_is_too_long_or_not_json_is_refused(api: ApiHarness) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.client.post("/v1/batches", content=b"[" * 300_000, headers=headers).status_code == 413
    assert api.client.post("/v1/batches", content=b"nonsense", headers=headers).status_code == 400


def test_bodies_of_batches_use_the_buffer_pool_of_uploads() -> None:
    body = json.dumps({"items": [{"source_url": URL}]}).encode()
    held: list[int] = []

    async def scene() -> None:
        pool = BufferPool(1024 * 1024, part_bytes=1024 * 1024)
        new_timeout = partial(MinRateTimeout, idle_seconds=5, min_bytes_per_second=1)
        reader = BatchReader(pool=pool, new_timeout=new_timeout, wait_seconds=0.01)

        async def receive() -> dict[str, Any]:
            held.append(pool.used_bytes)
            return {"type": "http.request", "body": body, "more_body": False}

        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        other = pool.reserve()
        await other.grow(1024 * 1024, wait_seconds=0)
        with pytest.raises(Overloaded):
            await reader.read(request)
        assert held == []
        other.release()
        options, raw = await reader.read(request)
        assert (len(options.items), raw, held, pool.used_bytes) == (1, body, [MAX_BODY_BYTES], 0)

    asyncio.run(scene())


def test_a_batch_can_have_the_maximum_of_items(api: ApiHarness) -> None:
    answer = create(api, *[{"source_url": URL}] * MAX_ITEMS)
    assert answer.status_code == 202
    assert len(api.jobs.jobs) == MAX_ITEMS


def test_a_batch_sends_batch_completed_once(api: ApiHarness) -> None:
    answer = create(api, {"source_url": URL}, {"source_url": URL}, callback_url=HOOK)
    secret = answer.json()["callback_secret"]
    assert secret.startswith("whsec_")
    assert "t0psecret" not in answer.text
    ids = [item.job_id for item in only_batch(api).items]
    assert [api.jobs.get(job_id).callback for job_id in ids] == [None, None]
    end(api, ids[0])
    assert api.deliveries.outbox == {}
    end(api, ids[1], well=False)
    (event,) = api.deliveries.outbox.values()
    assert event.callback is not None
    assert (event.type, event.callback.url, event.callback.secret) == ("batch.completed", HOOK, secret)
    read = api.client.get(answer.headers["location"])
    assert "callback_secret" not in read.json()
    data = json.loads(event.body)["data"]
    assert data == {name: value for name, value in read.json().items() if name in data} | {
        "items": [
            {name: value for name, value in item.items() if name != "filename"}
            for item in read.json()["items"]
        ]
    }
    assert api.client.post(f"/v1/jobs/{ids[1]}/retry").status_code == 202
    assert api.client.get(answer.headers["location"]).json()["state"] == "running"
    end(api, ids[1])
    assert len(api.deliveries.outbox) == 1


def test_with_events_of_jobs_each_job_calls_back(api: ApiHarness) -> None:
    uploaded = upload(api)
    answer = create(
        api,
        {"source_url": URL},
        {"upload_id": uploaded},
        callback_url=HOOK,
        events=["job.failed", "batch.completed"],
    )
    secret = answer.json()["callback_secret"]
    for job in api.jobs.jobs.values():
        assert job.callback is not None
        assert (job.callback.events, job.callback.secret) == (("job.failed",), secret)
    assert only_batch(api).callback is not None


def test_an_upload_keeps_its_own_callback(api: ApiHarness) -> None:
    options = {"bytes": len(SONG), "callback_url": HOOK}
    presigned = api.client.post("/v1/uploads", json=options).json()
    api.direct.put(presigned["requests"][0]["url"], SONG)
    assert create(api, {"upload_id": presigned["upload_id"]}).status_code == 202
    callback = api.jobs.get(presigned["upload_id"]).callback
    assert callback is not None
    assert callback.secret == presigned["callback_secret"]


@pytest.mark.parametrize(
    "options",
    [
        {"callback_url": "https://127.0.0.1/"},
        {"callback_url": HOOK, "events": ["job.exploded"]},
        {"events": ["batch.completed"]},
    ],
)
def test_an_invalid_callback_is_refused(api: ApiHarness, options: Any) -> None:
    assert create(api, {"source_url": URL}, **options).status_code == 400
    nothing_was_made(api)


def test_deliveries_of_a_batch_are_shown_and_deleted_with_it(api: ApiHarness) -> None:
    location = create(api, {"source_url": URL}, callback_url=HOOK).headers["location"]
    batch_id = location.rpartition("/")[2]
    api.deliveries.add(make_delivery(job_id=None, batch_id=batch_id, url=HOOK, type="batch.completed"))
    (delivery,) = api.client.get(location).json()["deliveries"]
    assert (delivery["type"], delivery["to"]) == ("batch.completed", "https://hooks.example")
    assert api.client.delete(location).status_code == 204
    assert api.deliveries.deliveries == {}


def test_canceling_a_batch_cancels_all_its_jobs(api: ApiHarness) -> None:
    waiting = upload(api)
    location = create(api, {"upload_id": waiting}, {"source_url": URL}, {"source_url": URL}).headers[
        "location"
    ]
    _, running, ended = (item.job_id for item in only_batch(api).items)
    end(api, ended)
    api.jobs.change(running, lambda job: job.start(worker="w", now=time.time(), lease_seconds=15))
    answer = api.client.post(f"{location}/cancel")
    assert answer.status_code == 200
    assert [item["state"] for item in answer.json()["items"]] == ["canceled", "running", "succeeded"]
    assert api.jobs.get(running).cancel_requested
    assert api.audio.objects == {}
    api.jobs.change(running, lambda job: job.confirm_cancel(1, now=time.time()))
    assert api.client.get(location).json()["state"] == "completed"
    assert api.client.post(f"{location}/cancel").status_code == 409


def test_deleting_a_batch_leaves_nothing_and_sends_no_webhook(api: ApiHarness) -> None:
    uploaded = upload(api)
    location = create(api, {"upload_id": uploaded}, {"source_url": URL}, callback_url=HOOK).headers[
        "location"
    ]
    end(api, only_batch(api).items[1].job_id)
    assert api.client.delete(location).status_code == 204
    assert (api.jobs.jobs, api.audio.objects, api.deliveries.outbox) == ({}, {}, {})
    assert api.client.get(location).status_code == 404
    assert api.client.delete(location).status_code == 404


def test_a_failed_deletion_can_be_repeated(api: ApiHarness) -> None:
    location = create(api, {"source_url": URL}, {"source_url": URL}, callback_url=HOOK).headers["location"]
    remove_if, second = api.jobs.remove_if, only_batch(api).items[1].job_id

    def unavailable(job_id: str, condition: Callable[[Job], bool]) -> Job | None:
        if job_id == second:
            raise Unavailable("The job store is unavailable. Try again in a few seconds.")
        return remove_if(job_id, condition)

    api.jobs.remove_if = unavailable  # type: ignore[method-assign]
    assert api.client.delete(location).status_code == 503
    api.jobs.remove_if = remove_if  # type: ignore[method-assign]
    assert api.client.delete(location).status_code == 204
    assert (api.jobs.jobs, api.deliveries.outbox) == ({}, {})


def test_api_keys_see_and_list_their_own_batches(api: ApiHarness) -> None:
    mine, other = (api.token(Scope.JOBS_READ, Scope.JOBS_WRITE) for _ in range(2))
    locations = [create(api, {"source_url": URL}, token=mine).headers["location"] for _ in range(3)]
    create(api, {"source_url": URL}, token=other)
    create(api, {"source_url": URL})
    page = api.client.get("/v1/batches", params={"limit": 2}, headers=bearing(mine)).json()
    rest = api.client.get("/v1/batches", params={"cursor": page["cursor"]}, headers=bearing(mine)).json()
    assert {one["links"]["self"] for one in [*page["batches"], *rest["batches"]]} == set(locations)
    assert (len(page["batches"]), rest["cursor"]) == (2, None)
    assert "items" not in page["batches"][0]
    assert api.client.get(locations[0], headers=bearing(other)).status_code == 404
    assert api.client.get(locations[0]).status_code == 404
    assert api.client.get("/v1/batches").status_code == 401
    wrong = api.client.get("/v1/batches", params={"cursor": "nonsense"}, headers=bearing(mine))
    assert wrong.status_code == 400


def test_a_batch_cannot_have_the_uploads_of_another_key(api: ApiHarness) -> None:
    operator = api.token(Scope.ADMIN_WRITE, Scope.ADMIN_READ)
    uploaded = upload(api, token=api.token(Scope.JOBS_WRITE))
    assert create(api, {"upload_id": uploaded}, token=operator).status_code == 422


def test_a_repeated_request_gets_the_same_batch(api: ApiHarness) -> None:
    uploaded = upload(api)
    key = {"Idempotency-Key": "k"}
    first = create(api, {"upload_id": uploaded}, headers=key)
    again = create(api, {"upload_id": uploaded}, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = create(api, {"source_url": URL}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert only_batch(api).id == first.json()["id"]


def test_a_batch_recorded_by_a_killed_process_is_returned(api: ApiHarness) -> None:
    uploaded = upload(api)
    key = {"Idempotency-Key": "k"}
    first = create(api, {"upload_id": uploaded}, headers=key)
    (name, claim), *_ = api.claims.claims.items()
    api.claims.claims[name] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    other = create(api, {"source_url": URL}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    api.claims.claims[name] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    again = create(api, {"upload_id": uploaded}, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_a_store_failure_creates_nothing_and_a_lost_reply_loses_nothing(api: ApiHarness) -> None:
    uploaded, create_batch = upload(api), api.batches.create

    def unavailable(*_: Any) -> None:
        raise Unavailable("The job store does not answer; try again later.")

    def recorded_but_unanswered(*given: Any) -> None:
        create_batch(*given)
        unavailable()

    api.batches.create = unavailable  # type: ignore[method-assign, assignment]
    assert create(api, {"upload_id": uploaded}).status_code == 503
    nothing_was_made(api, uploaded)
    api.batches.create = recorded_but_unanswered  # type: ignore[method-assign, assignment]
    assert create(api, {"upload_id": uploaded}).status_code == 202


def test_a_batch_whose_uploads_keep_changing_is_a_conflict(api: ApiHarness) -> None:

    def never(*_: Any) -> None:
        raise Conflict("This batch exists already, or one of its uploads was just used or removed.")

    api.batches.create = never  # type: ignore[method-assign, assignment]
    assert create(api, {"source_url": URL}).status_code == 409


def test_a_batch_is_accepted_while_the_broker_is_unavailable(api: ApiHarness) -> None:
    def broken(job_id: str, *, queue: str) -> None:
        raise Unavailable("The broker does not answer.")

    api.queue.enqueue = broken  # type: ignore[method-assign]
    assert create(api, *[{"source_url": URL}] * 3).status_code == 202


def test_each_item_counts_as_a_queued_job() -> None:
    api = ApiHarness(rate_limiter=MemoryRateLimiter(), rate_limits=RateLimits(max_queued_jobs_per_caller=4))
    with api.client:
        uploaded = upload(api)
        too_many = create(api, {"upload_id": uploaded}, *[{"source_url": URL}] * 4)
        assert (too_many.status_code, too_many.json()["code"]) == (429, "too_many_jobs")
        nothing_was_made(api, uploaded)
        assert create(api, {"upload_id": uploaded}, *[{"source_url": URL}] * 3).status_code == 202
        assert create(api, {"source_url": URL}).status_code == 429
        end(api, only_batch(api).items[1].job_id)
        assert create(api, {"source_url": URL}).status_code == 202


def test_a_batch_that_would_overfill_the_queue_is_refused() -> None:
    api = ApiHarness(rate_limits=RateLimits(max_queued_jobs=3))
    with api.client:
        assert create(api, *[{"source_url": URL}] * 4).status_code == 503
        assert create(api, *[{"source_url": URL}] * 3).status_code == 202


def test_source_urls_of_a_batch_count_against_the_daily_bytes() -> None:
    api = ApiHarness(rate_limiter=MemoryRateLimiter(), rate_limits=RateLimits(bytes_per_day=40 * 1024 * 1024))
    with api.client:
        assert create(api, *[{"source_url": URL}] * 3).json()["code"] == "too_many_bytes"
        assert create(api, *[{"source_url": URL}] * 2).status_code == 202


def test_items_have_the_file_names_of_their_jobs(api: ApiHarness) -> None:
    uploaded = upload(api)
    answer = create(api, {"upload_id": uploaded}, {"source_url": URL})
    assert [item["filename"] for item in answer.json()["items"]] == ["up.flac", None]
    assert api.jobs.get(uploaded).input == AudioInput(
        filename="up.flac", media_type="audio/flac", size_bytes=len(SONG)
    )
