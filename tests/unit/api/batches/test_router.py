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
from tests.support.factories import a_report
from tests.support.fakes.jobs import MemoryRateLimiter
from tests.support.fakes.webhooks import a_delivery
from tests.unit.api.conftest import World

SONG = b"fLaC" + bytes(range(256)) * 4
URL = "https://files.example/song.flac?signature=t0psecret"
HOOK = "https://hooks.example/done?token=t0psecret"


def bearing(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def upload(world: World, *, token: str | None = None, arrive: bool = True, body: bytes = SONG) -> str:
    wish = {"bytes": len(body), "media_type": "audio/flac", "filename": "up.flac"}
    offer = world.client.post("/v1/uploads", json=wish, headers=bearing(token)).json()
    if arrive:
        world.direct.put(offer["requests"][0]["url"], body)
    return str(offer["upload_id"])


def create(world: World, *items: dict[str, Any], token: str | None = None, **wish: Any) -> Any:
    headers = bearing(token) | wish.pop("headers", {})
    return world.client.post("/v1/batches", json={"items": list(items), **wish}, headers=headers)


def end(world: World, job_id: str, *, well: bool = True) -> None:
    now = time.time()
    world.jobs.change(job_id, lambda job: job.start(worker="w", now=now, lease_seconds=15))
    problem = Problem(code="undecodable", message="x", retryable=True)
    world.jobs.change(
        job_id,
        lambda job: (
            job.succeed(job.attempts, a_report(), now=now)
            if well
            else job.fail(job.attempts, problem, now=now)
        ),
    )


def only_batch(world: World) -> Batch:
    (batch,) = world.batches.batches.values()
    return batch


def test_uploads_and_addresses_become_jobs_of_one_batch(world: World) -> None:
    first = upload(world)
    answer = create(
        world,
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
    jobs = [world.jobs.get(job_id) for job_id in ids]
    assert ids[0] == first
    assert [(job.state, job.queue, job.batch_id) for job in jobs] == [
        (JobState.QUEUED, "batch", batch["id"])
    ] * 2
    assert (jobs[0].start_seconds, jobs[0].input.filename) == (3, "new name.flac")
    assert jobs[1].source is not None
    assert jobs[1].source.url == URL
    assert world.queue.messages == {"batch": ids}
    assert "t0psecret" not in answer.text


def test_a_job_names_its_batch_unless_that_would_hand_out_the_permission_to_it(world: World) -> None:
    mine = world.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    batch = create(world, {"source_url": URL}, token=mine).json()
    job = world.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}", headers=bearing(mine)).json()
    assert job["batch_id"] == batch["id"]
    batch = create(world, {"source_url": URL}).json()
    job = world.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}")
    assert job.json()["batch_id"] is None
    assert batch["id"] not in job.text


def test_one_status_for_all(world: World) -> None:
    location = create(world, *[{"source_url": URL}] * 4).headers["location"]
    ids = [item.job_id for item in only_batch(world).items]
    end(world, ids[0])
    end(world, ids[1], well=False)
    world.jobs.change(ids[2], lambda job: job.start(worker="w", now=time.time(), lease_seconds=15))
    answer = world.client.get(location)
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
    same = world.client.get(location, headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    for job_id in ids[2:]:
        world.jobs.remove(job_id)
    done = world.client.get(location, headers={"If-None-Match": answer.headers["etag"]})
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
def test_one_bad_item_is_named_and_nothing_is_created(world: World, case: str) -> None:
    good = upload(world)
    answer = create(world, {"upload_id": good}, {"source_url": URL}, BAD[case])
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_item")
    assert (answer.json()["item"], answer.json()["detail"].partition(":")[0]) == (2, "items[2]")
    nothing_was_made(world, good)
    assert create(world, {"upload_id": good}).status_code == 202


def nothing_was_made(world: World, *uploads: str) -> None:
    assert world.batches.batches == {}
    assert set(world.jobs.jobs) == set(uploads)
    assert all(world.jobs.get(one).state is JobState.AWAITING_UPLOAD for one in uploads)
    assert world.queue.messages == {}


def test_uploads_that_can_not_be_jobs_are_named(world: World) -> None:
    good, late, twice = upload(world), upload(world, arrive=False), upload(world)
    canceled, foreign = upload(world), upload(world, token=world.token(Scope.JOBS_WRITE))
    world.client.post(f"/v1/jobs/{canceled}/cancel")
    submitted = upload(world)
    world.client.post("/v1/jobs", json={"upload_id": submitted})
    for bad in ([late], [twice, twice], [canceled], [foreign], [submitted]):
        answer = create(world, {"upload_id": good}, *({"upload_id": one} for one in bad))
        assert (answer.status_code, answer.json()["item"]) == (422, len(bad)), answer.text
    assert world.jobs.get(good).state is JobState.AWAITING_UPLOAD


def test_what_is_no_sound_is_named_and_removed(world: World) -> None:
    good, picture = upload(world), upload(world, body=b"\x89PNG\r\n\x1a\n" + bytes(100))
    answer = create(world, {"upload_id": good}, {"upload_id": picture})
    assert (answer.status_code, answer.json()["item"]) == (422, 1)
    nothing_was_made(world, good)
    assert set(world.audio.objects) == {good}


def test_an_upload_that_changes_while_it_is_judged_is_judged_again(world: World) -> None:
    one, create_batch = upload(world), world.batches.create

    def too_late(batch: Any, steps: Any) -> None:
        world.batches.create = create_batch  # type: ignore[method-assign]
        world.jobs.change(one, lambda job: job.cancel(now=time.time()))
        create_batch(batch, steps)

    world.batches.create = too_late  # type: ignore[method-assign]
    answer = create(world, {"source_url": URL}, {"upload_id": one})
    assert (answer.status_code, answer.json()["item"]) == (422, 1)
    assert set(world.jobs.jobs) == {one}


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
def test_a_malformed_batch_is_refused(world: World, wish: Any) -> None:
    answer = world.client.post("/v1/batches", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    nothing_was_made(world)


def test_a_body_that_is_too_long_or_no_json_is_refused(world: World) -> None:
    headers = {"Content-Type": "application/json"}
    assert world.client.post("/v1/batches", content=b"[" * 300_000, headers=headers).status_code == 413
    assert world.client.post("/v1/batches", content=b"nonsense", headers=headers).status_code == 400


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


def test_the_most_items_are_taken(world: World) -> None:
    answer = create(world, *[{"source_url": URL}] * MAX_ITEMS)
    assert answer.status_code == 202
    assert len(world.jobs.jobs) == MAX_ITEMS


def test_the_end_is_told_once_to_whom_it_concerns(world: World) -> None:
    answer = create(world, {"source_url": URL}, {"source_url": URL}, callback_url=HOOK)
    secret = answer.json()["callback_secret"]
    assert secret.startswith("whsec_")
    assert "t0psecret" not in answer.text
    ids = [item.job_id for item in only_batch(world).items]
    assert [world.jobs.get(job_id).callback for job_id in ids] == [None, None]
    end(world, ids[0])
    assert world.deliveries.outbox == {}
    end(world, ids[1], well=False)
    (event,) = world.deliveries.outbox.values()
    assert event.callback is not None
    assert (event.type, event.callback.url, event.callback.secret) == ("batch.completed", HOOK, secret)
    read = world.client.get(answer.headers["location"])
    assert "callback_secret" not in read.json()
    data = json.loads(event.body)["data"]
    assert data == {name: value for name, value in read.json().items() if name in data} | {
        "items": [
            {name: value for name, value in item.items() if name != "filename"}
            for item in read.json()["items"]
        ]
    }
    assert world.client.post(f"/v1/jobs/{ids[1]}/retry").status_code == 202
    assert world.client.get(answer.headers["location"]).json()["state"] == "running"
    end(world, ids[1])
    assert len(world.deliveries.outbox) == 1


def test_events_of_jobs_make_each_job_call_back(world: World) -> None:
    uploaded = upload(world)
    answer = create(
        world,
        {"source_url": URL},
        {"upload_id": uploaded},
        callback_url=HOOK,
        events=["job.failed", "batch.completed"],
    )
    secret = answer.json()["callback_secret"]
    for job in world.jobs.jobs.values():
        assert job.callback is not None
        assert (job.callback.events, job.callback.secret) == (("job.failed",), secret)
    assert only_batch(world).callback is not None


def test_an_upload_keeps_its_own_callback(world: World) -> None:
    wish = {"bytes": len(SONG), "callback_url": HOOK}
    offer = world.client.post("/v1/uploads", json=wish).json()
    world.direct.put(offer["requests"][0]["url"], SONG)
    assert create(world, {"upload_id": offer["upload_id"]}).status_code == 202
    callback = world.jobs.get(offer["upload_id"]).callback
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
def test_a_callback_that_can_not_be_is_refused(world: World, wish: Any) -> None:
    assert create(world, {"source_url": URL}, **wish).status_code == 400
    nothing_was_made(world)


def test_its_deliveries_are_shown_and_go_with_it(world: World) -> None:
    location = create(world, {"source_url": URL}, callback_url=HOOK).headers["location"]
    batch_id = location.rpartition("/")[2]
    world.deliveries.add(a_delivery(job_id=None, batch_id=batch_id, url=HOOK, type="batch.completed"))
    (delivery,) = world.client.get(location).json()["deliveries"]
    assert (delivery["type"], delivery["to"]) == ("batch.completed", "https://hooks.example")
    assert world.client.delete(location).status_code == 204
    assert world.deliveries.deliveries == {}


def test_a_batch_is_canceled_as_a_whole(world: World) -> None:
    waiting = upload(world)
    location = create(world, {"upload_id": waiting}, {"source_url": URL}, {"source_url": URL}).headers[
        "location"
    ]
    _, running, ended = (item.job_id for item in only_batch(world).items)
    end(world, ended)
    world.jobs.change(running, lambda job: job.start(worker="w", now=time.time(), lease_seconds=15))
    answer = world.client.post(f"{location}/cancel")
    assert answer.status_code == 200
    assert [item["state"] for item in answer.json()["items"]] == ["canceled", "running", "succeeded"]
    assert world.jobs.get(running).cancel_requested
    assert world.audio.objects == {}
    world.jobs.change(running, lambda job: job.confirm_cancel(1, now=time.time()))
    assert world.client.get(location).json()["state"] == "completed"
    assert world.client.post(f"{location}/cancel").status_code == 409


def test_a_deleted_batch_leaves_nothing_and_tells_nobody(world: World) -> None:
    uploaded = upload(world)
    location = create(world, {"upload_id": uploaded}, {"source_url": URL}, callback_url=HOOK).headers[
        "location"
    ]
    end(world, only_batch(world).items[1].job_id)
    assert world.client.delete(location).status_code == 204
    assert (world.jobs.jobs, world.audio.objects, world.deliveries.outbox) == ({}, {}, {})
    assert world.client.get(location).status_code == 404
    assert world.client.delete(location).status_code == 404


def test_a_deletion_that_broke_off_can_be_asked_for_again(world: World) -> None:
    location = create(world, {"source_url": URL}, {"source_url": URL}, callback_url=HOOK).headers["location"]
    remove, second = world.jobs.remove, only_batch(world).items[1].job_id

    def away(job_id: str) -> None:
        if job_id == second:
            raise Unavailable("The job store does not answer; try again later.")
        remove(job_id)

    world.jobs.remove = away  # type: ignore[method-assign]
    assert world.client.delete(location).status_code == 503
    world.jobs.remove = remove  # type: ignore[method-assign]
    assert world.client.delete(location).status_code == 204
    assert (world.jobs.jobs, world.deliveries.outbox) == ({}, {})


def test_keys_see_and_list_their_own(world: World) -> None:
    mine, other = (world.token(Scope.JOBS_READ, Scope.JOBS_WRITE) for _ in range(2))
    locations = [create(world, {"source_url": URL}, token=mine).headers["location"] for _ in range(3)]
    create(world, {"source_url": URL}, token=other)
    create(world, {"source_url": URL})
    page = world.client.get("/v1/batches", params={"limit": 2}, headers=bearing(mine)).json()
    rest = world.client.get("/v1/batches", params={"cursor": page["cursor"]}, headers=bearing(mine)).json()
    assert {one["links"]["self"] for one in [*page["batches"], *rest["batches"]]} == set(locations)
    assert (len(page["batches"]), rest["cursor"]) == (2, None)
    assert "items" not in page["batches"][0]
    assert world.client.get(locations[0], headers=bearing(other)).status_code == 404
    assert world.client.get(locations[0]).status_code == 404
    assert world.client.get("/v1/batches").status_code == 401
    wrong = world.client.get("/v1/batches", params={"cursor": "nonsense"}, headers=bearing(mine))
    assert wrong.status_code == 400


def test_the_uploads_of_another_are_nobodys(world: World) -> None:
    operator = world.token(Scope.ADMIN_WRITE, Scope.ADMIN_READ)
    uploaded = upload(world, token=world.token(Scope.JOBS_WRITE))
    assert create(world, {"upload_id": uploaded}, token=operator).status_code == 422


def test_the_same_request_again_gets_the_same_batch(world: World) -> None:
    uploaded = upload(world)
    key = {"Idempotency-Key": "k"}
    first = create(world, {"upload_id": uploaded}, headers=key)
    again = create(world, {"upload_id": uploaded}, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = create(world, {"source_url": URL}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert only_batch(world).id == first.json()["id"]


def test_a_batch_recorded_by_a_killed_process_is_found_again(world: World) -> None:
    uploaded = upload(world)
    key = {"Idempotency-Key": "k"}
    first = create(world, {"upload_id": uploaded}, headers=key)
    (name, claim), *_ = world.claims.claims.items()
    world.claims.claims[name] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    other = create(world, {"source_url": URL}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    world.claims.claims[name] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    again = create(world, {"upload_id": uploaded}, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_a_store_that_goes_away_creates_nothing_and_a_lost_answer_is_no_loss(world: World) -> None:
    uploaded, create_batch = upload(world), world.batches.create

    def away(*_: Any) -> None:
        raise Unavailable("The job store does not answer; try again later.")

    def recorded_but_unanswered(*given: Any) -> None:
        create_batch(*given)
        away()

    world.batches.create = away  # type: ignore[method-assign, assignment]
    assert create(world, {"upload_id": uploaded}).status_code == 503
    nothing_was_made(world, uploaded)
    world.batches.create = recorded_but_unanswered  # type: ignore[method-assign, assignment]
    assert create(world, {"upload_id": uploaded}).status_code == 202


def test_a_batch_that_is_refused_for_a_conflict_again_and_again_says_so(world: World) -> None:

    def never(*_: Any) -> None:
        raise Conflict("This batch exists already, or one of its uploads was just used or removed.")

    world.batches.create = never  # type: ignore[method-assign, assignment]
    assert create(world, {"source_url": URL}).status_code == 409


def test_a_broken_bell_is_no_failure(world: World) -> None:
    def broken(job_id: str, *, queue: str) -> None:
        raise Unavailable("The broker does not answer.")

    world.queue.enqueue = broken  # type: ignore[method-assign]
    assert create(world, *[{"source_url": URL}] * 3).status_code == 202


def test_each_item_counts_as_a_job_that_waits() -> None:
    world = World(rate_limiter=MemoryRateLimiter(), limits=Limits(jobs_queued=4))
    with world.client:
        uploaded = upload(world)
        too_many = create(world, {"upload_id": uploaded}, *[{"source_url": URL}] * 4)
        assert (too_many.status_code, too_many.json()["code"]) == (429, "too_many_jobs")
        nothing_was_made(world, uploaded)
        assert create(world, {"upload_id": uploaded}, *[{"source_url": URL}] * 3).status_code == 202
        assert create(world, {"source_url": URL}).status_code == 429
        end(world, only_batch(world).items[1].job_id)
        assert create(world, {"source_url": URL}).status_code == 202


def test_a_batch_that_would_fill_the_queue_is_not_taken() -> None:
    world = World(limits=Limits(queue_most=3))
    with world.client:
        assert create(world, *[{"source_url": URL}] * 4).status_code == 503
        assert create(world, *[{"source_url": URL}] * 3).status_code == 202


def test_addresses_count_against_the_bytes_of_a_day() -> None:
    world = World(rate_limiter=MemoryRateLimiter(), limits=Limits(bytes_per_day=40 * 1024 * 1024))
    with world.client:
        assert create(world, *[{"source_url": URL}] * 3).json()["code"] == "too_many_bytes"
        assert create(world, *[{"source_url": URL}] * 2).status_code == 202


def test_the_names_in_a_batch_are_those_of_its_jobs(world: World) -> None:
    uploaded = upload(world)
    answer = create(world, {"upload_id": uploaded}, {"source_url": URL})
    assert [item["filename"] for item in answer.json()["items"]] == ["up.flac", None]
    assert world.jobs.get(uploaded).input == AudioInput(
        filename="up.flac", media_type="audio/flac", size_bytes=len(SONG)
    )
