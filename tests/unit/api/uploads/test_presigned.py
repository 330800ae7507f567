import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from tests.support.fakes.jobs import MemoryAudioStore
from tests.unit.api.conftest import MOST_BYTES, World

SONG = b"fLaC" + bytes(range(256)) * 40
LONG = b"fLaC" + bytes(2 * MemoryAudioStore.part_bytes)


def ask(world: World, song: bytes = SONG, **more: Any) -> Any:
    wish = {
        "filename": "sub/söng.flac",
        "bytes": len(song),
        "media_type": "audio/flac",
        **more.pop("wish", {}),
    }
    return world.client.post("/v1/uploads", json=wish, **more)


def send(world: World, offer: Any, song: bytes) -> None:
    for request in offer["requests"]:
        first = request["first_byte"]
        world.direct.put(request["url"], song[first : first + request["bytes"]])


def submit(world: World, offer: Any, **more: Any) -> Any:
    return world.client.post("/v1/jobs", json={"upload_id": offer["upload_id"]}, **more)


@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_what_was_uploaded_directly_becomes_a_job(world: World, song: bytes) -> None:
    answer = ask(world, song, wish={"start_seconds": 3})
    offer = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/jobs/{offer['upload_id']}"
    assert sum(request["bytes"] for request in offer["requests"]) == len(song)
    assert (offer["form"] is None) == (song is LONG)
    waiting = world.client.get(answer.headers["location"]).json()
    assert (waiting["state"], waiting["input"]["filename"]) == ("awaiting_upload", "söng.flac")
    assert not world.queue.messages
    send(world, offer, song)
    submitted = submit(world, offer)
    assert submitted.status_code == 202
    job = submitted.json()
    assert (job["id"], job["state"]) == (offer["upload_id"], "queued")
    assert job["input"]["bytes"] == len(song)
    assert job["expires_at"] is None
    assert world.audio.objects[job["id"]][0] == song
    assert world.jobs.jobs[job["id"]].start_seconds == 3
    assert world.queue.messages == {"interactive": [job["id"]]}
    again = submit(world, offer)
    assert (again.status_code, again.json()["id"]) == (202, job["id"])
    assert world.queue.messages == {"interactive": [job["id"]]}


@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_what_has_not_arrived_can_not_be_submitted_yet(world: World, song: bytes) -> None:
    offer = ask(world, song).json()
    answer = submit(world, offer)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_unfinished")
    send(world, offer, song)
    assert submit(world, offer).status_code == 202


def test_a_missing_part_is_counted(world: World) -> None:
    offer = ask(world, LONG).json()
    send(world, offer | {"requests": offer["requests"][1:]}, LONG)
    answer = submit(world, offer)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_unfinished")
    assert f"{len(LONG):,}" in answer.json()["detail"]


def test_what_is_no_sound_is_refused_and_removed(world: World) -> None:
    picture = b"\x89PNG" + bytes(100)
    offer = ask(world, picture).json()
    send(world, offer, picture)
    answer = submit(world, offer)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert not world.jobs.jobs
    assert not world.audio.objects


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"bytes": MOST_BYTES + 1}, 413, "too_large"),
        ({"bytes": 0}, 422, "invalid_parameter"),
        ({"bytes": None}, 422, "invalid_parameter"),
        ({"media_type": "text/html"}, 415, "unsupported_media"),
        ({"start_seconds": -1}, 422, "invalid_parameter"),
        ({"surprise": 1}, 422, "invalid_parameter"),
    ],
)
def test_a_bad_wish_gets_a_problem_and_no_record(
    world: World, wish: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(world, wish=wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not world.jobs.jobs


def test_json_that_is_none_is_refused(world: World) -> None:
    for path in ("/v1/uploads", "/v1/jobs"):
        headers = {"Content-Type": "application/json"}
        answer = world.client.post(path, content=b"{nonsense", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")
        assert world.client.post(path, content=b"[" * 100_000, headers=headers).status_code == 413
        assert world.client.post(path, json={"no": "field"}).status_code == 422


def test_one_key_can_not_submit_what_another_uploads(world: World) -> None:
    mine, yours = (
        {"Authorization": f"Bearer {world.token(Scope.JOBS_WRITE, Scope.JOBS_READ)}"} for _ in range(2)
    )
    offer = ask(world, headers=mine).json()
    send(world, offer, SONG)
    assert submit(world, offer, headers=yours).status_code == 404
    assert submit(world, offer).status_code == 404
    assert submit(world, offer, headers=mine).status_code == 202


def test_an_unknown_or_canceled_or_late_upload_is_no_job(world: World) -> None:
    assert submit(world, {"upload_id": "nobody"}).status_code == 404
    offer = ask(world).json()
    send(world, offer, SONG)
    world.client.post(f"/v1/jobs/{offer['upload_id']}/cancel")
    assert submit(world, offer).status_code == 409
    offer = ask(world).json()
    send(world, offer, SONG)
    world.jobs.change(offer["upload_id"], lambda job: replace(job, expires_at=time.time() + 30))
    assert submit(world, offer).status_code == 404


def test_the_same_wish_under_the_same_key_gets_the_same_offer(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = ask(world, headers=key), ask(world, headers=key)
    assert first.content == again.content
    assert len(world.jobs.jobs) == 1
    assert ask(world, headers=key, wish={"bytes": 7}).status_code == 422


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_what_is_never_submitted_is_forgotten_with_all_its_bytes(
    world: World, song: bytes, sent: bool
) -> None:
    offer = ask(world, song).json()
    if sent:
        send(world, offer, song)
    rescuer = world.rescuer()
    rescuer.run_once(now=time.time() + 1800)
    assert world.jobs.jobs[offer["upload_id"]].state is JobState.AWAITING_UPLOAD
    assert bool(world.audio.objects or world.audio.uploads) == (sent or song is LONG)
    rescuer.run_once(now=time.time() + 3700)
    assert not world.jobs.jobs
    assert (world.audio.objects, world.audio.uploads) == ({}, {})
