"""Jobs by address: what the API takes, records, shows and keeps to itself. It never calls the address."""

from typing import Any

import pytest

from api.config import JobLimits, Limits
from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from tests.support.captured_logs import json_logs
from tests.unit.api.conftest import MOST_BYTES, World
from tests.unit.shared.outbound.test_address_rules import HOSTILE, OUTBOUND

SONG_URL = "https://files.example/album/t0psecret/song.flac?signature=t0psecret"
HOOK = "https://hooks.example/done"


def submit(world: World, url: str = SONG_URL, *, params: dict[str, Any] | None = None, **more: Any) -> Any:
    headers = more.pop("headers", {})
    return world.client.post(
        "/v1/jobs", json={"source_url": url, **more}, params=params or {}, headers=headers
    )


def only_job(world: World) -> Any:
    (job,) = world.jobs.jobs.values()
    return job


def test_an_address_becomes_a_job_without_stored_audio(world: World) -> None:
    answer = submit(world, filename="sub/söng.flac", start_seconds=3, queue="batch")
    assert answer.status_code == 202, answer.text
    job = only_job(world)
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    assert (job.state, job.has_audio, job.audio_available) == (JobState.QUEUED, False, True)
    assert (job.source.url, job.source.server) == (SONG_URL, "https://files.example")
    assert (job.input.filename, job.start_seconds, job.queue) == ("söng.flac", 3, "batch")
    assert world.queue.messages == {"batch": [job.id]}
    assert world.audio.objects == {}


def test_views_show_the_server_and_never_path_or_query(world: World) -> None:
    with json_logs() as logged:
        answer = submit(world)
        read = world.client.get(answer.headers["location"])
        page = world.client.get(f"/jobs/{only_job(world).id}", headers={"Accept": "text/html"})
    assert answer.json()["input"]["source"] == "https://files.example"
    assert read.json()["input"]["source"] == "https://files.example"
    for shown in (answer.text, read.text, page.text, logged.text, repr(only_job(world))):
        assert "t0psecret" not in shown
    assert logged.events("job_accepted")[0]["source"] == "https://files.example"


def test_one_key_does_not_see_what_another_fetches(world: World) -> None:
    mine, theirs = (
        {"Authorization": f"Bearer {world.token(Scope.JOBS_READ, Scope.JOBS_WRITE)}"} for _ in range(2)
    )
    location = submit(world, headers=mine).headers["location"]
    assert world.client.get(location, headers=mine).status_code == 200
    assert world.client.get(location, headers=theirs).status_code == 404
    assert world.client.post(f"{location}/retry", headers=theirs).status_code == 404


def test_what_webhooks_do_not_call_is_not_fetched_from_either() -> None:
    world = World(of_sources=lambda url: str(OUTBOUND.check(url)))
    with world.client:
        for url in HOSTILE:
            answer = submit(world, url)
            # 422: longer than any address that is taken
            assert (answer.status_code, answer.json()["code"]) in [
                (400, "address_refused"),
                (422, "invalid_parameter"),
            ], url
            assert answer.headers["content-type"] == "application/problem+json"
        assert world.jobs.jobs == {}
        assert submit(world, "https://good.example/song.mp3").status_code == 202


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"source_url": None}, 400),
        ({"source_url": SONG_URL, "upload_id": "abc"}, 400),
        ({"source_url": 5}, 422),
        ({"source_url": SONG_URL, "start_seconds": -1}, 422),
        ({"source_url": SONG_URL, "queue": "vip"}, 422),
        ({"source_url": SONG_URL, "surprise": 1}, 422),
        ({"source_url": SONG_URL, "events": ["job.failed"]}, 400),
        ({"source_url": SONG_URL, "callback_url": "https://127.0.0.1/"}, 400),
        ({"source_url": "http://files.example/"}, 400),
        ({"source_url": "https://unknown.example/"}, 400),
        ({"source_url": ""}, 400),
    ],
)
def test_a_bad_wish_gets_a_problem_and_no_record(world: World, body: dict[str, Any], status: int) -> None:
    answer = world.client.post("/v1/jobs", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "t0psecret" not in answer.text
    assert world.jobs.jobs == {}
    assert world.queue.messages == {}


def test_a_callback_goes_with_an_address(world: World) -> None:
    answer = submit(world, callback_url=HOOK, events=["job.failed"])
    callback = only_job(world).callback
    assert (callback.url, callback.events) == (HOOK, ("job.failed",))
    assert answer.json()["callback_secret"] == callback.secret is not None


def test_the_query_says_what_the_body_leaves_open(world: World) -> None:
    query = {"filename": "query.mp3", "queue": "batch", "start_seconds": 7, "callback_url": HOOK}
    assert submit(world, params=query, filename="body.mp3").status_code == 202
    job = only_job(world)
    assert (job.input.filename, job.queue, job.start_seconds) == ("body.mp3", "batch", 7)
    assert job.callback.url == HOOK


def test_a_repeated_request_is_one_job_and_another_one_is_refused(world: World) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = submit(world, headers=key), submit(world, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert submit(world, SONG_URL + "x", headers=key).status_code == 422
    assert len(world.jobs.jobs) == 1


def test_an_address_counts_against_the_days_bytes_and_the_jobs_that_wait() -> None:
    terms = JobLimits(
        max_upload_bytes=MOST_BYTES,
        upload_idle_seconds=5,
        attempts=3,
        keep_seconds=60,
        source_counts_as_bytes=1000,
    )
    world = World(limits=Limits(bytes_per_day=2500), terms=terms)
    with world.client:
        assert [submit(world).status_code for _ in range(3)] == [202, 202, 429]
    world = World(limits=Limits(jobs_queued=2))
    with world.client:
        assert [submit(world).status_code for _ in range(3)] == [202, 202, 429]
        assert len(world.jobs.jobs) == 2


def test_a_canceled_job_forgets_its_address(world: World) -> None:
    location = submit(world).headers["location"]
    assert world.client.post(f"{location}/cancel").json()["state"] == "canceled"
    assert only_job(world).source.url is None
    assert world.client.get(location).json()["input"]["source"] == "https://files.example"


def an_offer(world: World, **wish: Any) -> str:
    offer = world.client.post("/v1/uploads", json={"bytes": 8, "media_type": "audio/mpeg", **wish}).json()
    world.direct.put(offer["requests"][0]["url"], b"ID3 song")
    return str(offer["upload_id"])


def test_an_upload_takes_the_same_wishes_when_it_is_submitted(world: World) -> None:
    upload_id = an_offer(world, filename="before.mp3", start_seconds=1)
    wishes = {"filename": "after.mp3", "start_seconds": 2, "queue": "batch", "callback_url": HOOK}
    answer = world.client.post("/v1/jobs", json={"upload_id": upload_id, **wishes})
    assert answer.status_code == 202, answer.text
    job = only_job(world)
    assert (job.input.filename, job.start_seconds, job.queue) == ("after.mp3", 2, "batch")
    assert world.queue.messages == {"batch": [upload_id]}
    assert job.callback.url == HOOK
    assert answer.json()["callback_secret"] == job.callback.secret is not None
    again = world.client.post("/v1/jobs", json={"upload_id": upload_id, **wishes})
    assert (again.status_code, again.json()["callback_secret"]) == (202, None)
    other = world.client.post("/v1/jobs", json={"upload_id": upload_id, "start_seconds": 5})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert only_job(world) == job


def test_an_upload_keeps_the_wishes_of_its_offer_where_nothing_else_is_said(world: World) -> None:
    upload_id = an_offer(world, filename="before.mp3", start_seconds=1, queue="batch", callback_url=HOOK)
    assert world.client.post("/v1/jobs", json={"upload_id": upload_id}).json()["callback_secret"] is None
    job = only_job(world)
    assert (job.input.filename, job.start_seconds, job.queue) == ("before.mp3", 1, "batch")
    assert job.callback.url == HOOK
