"""Batches: all or nothing, one status, one webhook, and nobody else's business."""

import asyncio
import json
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from fastapi import Request

from api.batches.reader import MAX_BODY_BYTES, BatchReader
from api.config import Limits
from api.http.slow_clients import MinRateTimeout
from api.uploads.buffer_pool import BufferPool
from shared.domain.api_key import Scope
from shared.domain.batch import MAX_ITEMS, Batch
from shared.domain.job import AudioInput, Problem
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
    wish = {"bytes": len(body), "media_type": "audio/flac", "filename": "up.flac"}
    offer = api.client.post("/v1/uploads", json=wish, headers=bearing(token)).json()
    if arrive:
        api.direct.put(offer["requests"][0]["url"], body)
    return str(offer["upload_id"])


def create(api: ApiHarness, *items: dict[str, Any], token: str | None = None, **wish: Any) -> Any:
    headers = bearing(token) | wish.pop("headers", {})
    return api.client.post("/v1/batches", json={"items": list(items), **wish}, headers=headers)


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


def test_uploads_and_addresses_become_jobs_of_one_batch(api: ApiHarness) -> None:
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


def test_a_job_names_its_batch_unless_that_would_hand_out_the_permission_to_it(api: ApiHarness) -> None:
    mine = api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    batch = create(api, {"source_url": URL}, token=mine).json()
    job = api.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}", headers=bearing(mine)).json()
    assert job["batch_id"] == batch["id"]
    batch = create(api, {"source_url": URL}).json()
    job = api.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}")
    assert job.json()["batch_id"] is None
    assert batch["id"] not in job.text


def test_one_status_for_all(api: ApiHarness) -> None:
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
def test_one_bad_item_is_named_and_nothing_is_created(api: ApiHarness, case: str) -> None:
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


def test_uploads_that_can_not_be_jobs_are_named(api: ApiHarness) -> None:
    good, late, twice = upload(api), upload(api, arrive=False), upload(api)
    canceled, foreign = upload(api), upload(api, token=api.token(Scope.JOBS_WRITE))
    api.client.post(f"/v1/jobs/{canceled}/cancel")
    submitted = upload(api)
    api.client.post("/v1/jobs", json={"upload_id": submitted})
    for bad in ([late], [twice, twice], [canceled], [foreign], [submitted]):
        answer = create(api, {"upload_id": good}, *({"upload_id": one} for one in bad))
        assert (answer.status_code, answer.json()["item"]) == (422, len(bad)), answer.text
    assert api.jobs.get(good).state is JobState.AWAITING_UPLOAD


def test_what_is_no_sound_is_named_and_removed(api: ApiHarness) -> None:
    good, picture = upload(api), upload(api, body=b"\x89PNG\r\n\x1a\n" + bytes(100))
    answer = create(api, {"upload_id": good}, {"upload_id": picture})
    assert (answer.status_code, answer.json()["item"]) == (422, 1)
    nothing_was_made(api, good)
    assert set(api.audio.objects) == {good}


def test_an_upload_that_changes_while_it_is_judged_is_judged_again(api: ApiHarness) -> None:
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
    "wish",
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
def test_a_malformed_batch_is_refused(api: ApiHarness, wish: Any) -> None:
    answer = api.client.post("/v1/batches", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    nothing_was_made(api)


def test_a_body_that_is_too_long_or_no_json_is_refused(api: ApiHarness) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.client.post("/v1/batches", content=b"[" * 300_000, headers=headers).status_code == 413
    assert api.client.post("/v1/batches", content=b"nonsense", headers=headers).status_code == 400


def test_bodies_share_the_memory_of_uploads_while_they_come() -> None:
    body = json.dumps({"items": [{"source_url": URL}]}).encode()
    held: list[int] = []

    async def scene() -> None:
        pool = BufferPool(1024 * 1024, part_bytes=1024 * 1024)
        new_timeout = partial(MinRateTimeout, idle_seconds=5, least_bytes_per_second=1)
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
        wish, raw = await reader.read(request)
        assert (len(wish.items), raw, held, pool.used_bytes) == (1, body, [MAX_BODY_BYTES], 0)

    asyncio.run(scene())


def test_the_most_items_are_taken(api: ApiHarness) -> None:
    answer = create(api, *[{"source_url": URL}] * MAX_ITEMS)
    assert answer.status_code == 202
    assert len(api.jobs.jobs) == MAX_ITEMS


def test_the_end_is_told_once_to_whom_it_concerns(api: ApiHarness) -> None:
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


def test_events_of_jobs_make_each_job_call_back(api: ApiHarness) -> None:
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
    wish = {"bytes": len(SONG), "callback_url": HOOK}
    offer = api.client.post("/v1/uploads", json=wish).json()
    api.direct.put(offer["requests"][0]["url"], SONG)
    assert create(api, {"upload_id": offer["upload_id"]}).status_code == 202
    callback = api.jobs.get(offer["upload_id"]).callback
    assert callback is not None
    assert callback.secret == offer["callback_secret"]


@pytest.mark.parametrize(
    "wish",
    [
        {"callback_url": "https://127.0.0.1/"},
        {"callback_url": HOOK, "events": ["job.exploded"]},
        {"events": ["batch.completed"]},
    ],
)
def test_a_callback_that_can_not_be_is_refused(api: ApiHarness, wish: Any) -> None:
    assert create(api, {"source_url": URL}, **wish).status_code == 400
    nothing_was_made(api)


def test_its_deliveries_are_shown_and_go_with_it(api: ApiHarness) -> None:
    location = create(api, {"source_url": URL}, callback_url=HOOK).headers["location"]
    batch_id = location.rpartition("/")[2]
    api.deliveries.add(make_delivery(job_id=None, batch_id=batch_id, url=HOOK, type="batch.completed"))
    (delivery,) = api.client.get(location).json()["deliveries"]
    assert (delivery["type"], delivery["to"]) == ("batch.completed", "https://hooks.example")
    assert api.client.delete(location).status_code == 204
    assert api.deliveries.deliveries == {}


def test_a_batch_is_canceled_as_a_whole(api: ApiHarness) -> None:
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


def test_a_deleted_batch_leaves_nothing_and_tells_nobody(api: ApiHarness) -> None:
    uploaded = upload(api)
    location = create(api, {"upload_id": uploaded}, {"source_url": URL}, callback_url=HOOK).headers[
        "location"
    ]
    end(api, only_batch(api).items[1].job_id)
    assert api.client.delete(location).status_code == 204
    assert (api.jobs.jobs, api.audio.objects, api.deliveries.outbox) == ({}, {}, {})
    assert api.client.get(location).status_code == 404
    assert api.client.delete(location).status_code == 404


def test_a_deletion_that_broke_off_can_be_asked_for_again(api: ApiHarness) -> None:
    location = create(api, {"source_url": URL}, {"source_url": URL}, callback_url=HOOK).headers["location"]
    remove, second = api.jobs.remove, only_batch(api).items[1].job_id

    def away(job_id: str) -> None:
        if job_id == second:
            raise Unavailable("The job store does not answer; try again later.")
        remove(job_id)

    api.jobs.remove = away  # type: ignore[method-assign]
    assert api.client.delete(location).status_code == 503
    api.jobs.remove = remove  # type: ignore[method-assign]
    assert api.client.delete(location).status_code == 204
    assert (api.jobs.jobs, api.deliveries.outbox) == ({}, {})


def test_keys_see_and_list_their_own(api: ApiHarness) -> None:
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


def test_the_uploads_of_another_are_nobodys(api: ApiHarness) -> None:
    operator = api.token(Scope.ADMIN_WRITE, Scope.ADMIN_READ)
    uploaded = upload(api, token=api.token(Scope.JOBS_WRITE))
    assert create(api, {"upload_id": uploaded}, token=operator).status_code == 422


def test_the_same_request_again_gets_the_same_batch(api: ApiHarness) -> None:
    uploaded = upload(api)
    key = {"Idempotency-Key": "k"}
    first = create(api, {"upload_id": uploaded}, headers=key)
    again = create(api, {"upload_id": uploaded}, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = create(api, {"source_url": URL}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert only_batch(api).id == first.json()["id"]


def test_a_batch_recorded_by_a_killed_process_is_found_again(api: ApiHarness) -> None:
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


def test_a_store_that_goes_away_creates_nothing_and_a_lost_answer_is_no_loss(api: ApiHarness) -> None:
    uploaded, create_batch = upload(api), api.batches.create

    def away(*_: Any) -> None:
        raise Unavailable("The job store does not answer; try again later.")

    def recorded_but_unanswered(*given: Any) -> None:
        create_batch(*given)
        away()

    api.batches.create = away  # type: ignore[method-assign, assignment]
    assert create(api, {"upload_id": uploaded}).status_code == 503
    nothing_was_made(api, uploaded)
    api.batches.create = recorded_but_unanswered  # type: ignore[method-assign, assignment]
    assert create(api, {"upload_id": uploaded}).status_code == 202


def test_a_batch_that_is_refused_for_a_conflict_again_and_again_says_so(api: ApiHarness) -> None:

    def never(*_: Any) -> None:
        raise Conflict("This batch exists already, or one of its uploads was just used or removed.")

    api.batches.create = never  # type: ignore[method-assign, assignment]
    assert create(api, {"source_url": URL}).status_code == 409


def test_a_broken_bell_is_no_failure(api: ApiHarness) -> None:
    def broken(job_id: str, *, queue: str) -> None:
        raise Unavailable("The broker does not answer.")

    api.queue.enqueue = broken  # type: ignore[method-assign]
    assert create(api, *[{"source_url": URL}] * 3).status_code == 202


def test_each_item_counts_as_a_job_that_waits() -> None:
    api = ApiHarness(rate_limiter=MemoryRateLimiter(), limits=Limits(jobs_queued=4))
    with api.client:
        uploaded = upload(api)
        too_many = create(api, {"upload_id": uploaded}, *[{"source_url": URL}] * 4)
        assert (too_many.status_code, too_many.json()["code"]) == (429, "too_many_jobs")
        nothing_was_made(api, uploaded)
        assert create(api, {"upload_id": uploaded}, *[{"source_url": URL}] * 3).status_code == 202
        assert create(api, {"source_url": URL}).status_code == 429
        end(api, only_batch(api).items[1].job_id)
        assert create(api, {"source_url": URL}).status_code == 202


def test_a_batch_that_would_fill_the_queue_is_not_taken() -> None:
    api = ApiHarness(limits=Limits(queue_most=3))
    with api.client:
        assert create(api, *[{"source_url": URL}] * 4).status_code == 503
        assert create(api, *[{"source_url": URL}] * 3).status_code == 202


def test_addresses_count_against_the_bytes_of_a_day() -> None:
    api = ApiHarness(rate_limiter=MemoryRateLimiter(), limits=Limits(bytes_per_day=40 * 1024 * 1024))
    with api.client:
        assert create(api, *[{"source_url": URL}] * 3).json()["code"] == "too_many_bytes"
        assert create(api, *[{"source_url": URL}] * 2).status_code == 202


def test_the_names_in_a_batch_are_those_of_its_jobs(api: ApiHarness) -> None:
    uploaded = upload(api)
    answer = create(api, {"upload_id": uploaded}, {"source_url": URL})
    assert [item["filename"] for item in answer.json()["items"]] == ["up.flac", None]
    assert api.jobs.get(uploaded).input == AudioInput(
        filename="up.flac", media_type="audio/flac", size_bytes=len(SONG)
    )
