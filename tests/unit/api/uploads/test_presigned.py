import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from shared.ports.jobs import JobQuery
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.fakes.jobs import MemoryAudioStore

SONG = b"fLaC" + bytes(range(256)) * 40
LONG = b"fLaC" + bytes(2 * MemoryAudioStore.part_bytes)


def ask(api: ApiHarness, song: bytes = SONG, **more: Any) -> Any:
    options = {
        "filename": "sub/söng.flac",
        "bytes": len(song),
        "media_type": "audio/flac",
        **more.pop("options", {}),
    }
    return api.client.post("/v1/uploads", json=options, **more)


def send(api: ApiHarness, presigned: Any, song: bytes) -> None:
    for request in presigned["requests"]:
        first = request["first_byte"]
        api.direct.put(request["url"], song[first : first + request["bytes"]])


def submit(api: ApiHarness, presigned: Any, **more: Any) -> Any:
    return api.client.post("/v1/jobs", json={"upload_id": presigned["upload_id"]}, **more)


@pytest.mark.parametrize(
    "media_type", ["audio/w\nav", "audio/\x00wav", "audio/wav\r\nx-amz-acl: public", "ä/ö"]
)
def test_a_media_type_that_is_no_header_is_not_sent_to_storage(api: ApiHarness, media_type: str) -> None:
    answer = ask(api, options={"media_type": media_type})
    assert answer.status_code == 201
    assert api.jobs.jobs[answer.json()["upload_id"]].input.media_type == "application/octet-stream"


@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_a_presigned_upload_becomes_a_job(api: ApiHarness, song: bytes) -> None:
    answer = ask(api, song, options={"start_seconds": 3})
    presigned = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/jobs/{presigned['upload_id']}"
    assert sum(request["bytes"] for request in presigned["requests"]) == len(song)
    assert (presigned["form"] is None) == (song is LONG)
    waiting = api.client.get(answer.headers["location"]).json()
    assert (waiting["state"], waiting["input"]["filename"]) == ("awaiting_upload", "söng.flac")
    assert not api.queue.messages
    send(api, presigned, song)
    submitted = submit(api, presigned)
    assert submitted.status_code == 202
    job = submitted.json()
    assert (job["id"], job["state"]) == (presigned["upload_id"], "queued")
    assert job["input"]["bytes"] == len(song)
    assert job["expires_at"] is None
    assert api.audio.objects[job["id"]][0] == song
    assert api.jobs.jobs[job["id"]].start_seconds == 3
    assert api.queue.messages == {"interactive": [job["id"]]}
    again = submit(api, presigned)
    assert (again.status_code, again.json()["id"]) == (202, job["id"])
    assert api.queue.messages == {"interactive": [job["id"]]}


@pytest.mark.parametrize(
    "media_type", ["audio/flac\n", "audio/fl\nac", "audio/flac\x00", "\x00", "a\r\nX: y"]
)
def test_control_characters_in_the_media_type_never_reach_storage(api: ApiHarness, media_type: str) -> None:
    presigned = ask(api, options={"media_type": media_type})
    assert presigned.status_code == 201
    stored = api.jobs.jobs[presigned.json()["upload_id"]].input.media_type
    assert stored in {"audio/flac", "application/octet-stream"}


@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_an_incomplete_presigned_upload_cannot_be_submitted(api: ApiHarness, song: bytes) -> None:
    presigned = ask(api, song).json()
    answer = submit(api, presigned)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_unfinished")
    send(api, presigned, song)
    assert submit(api, presigned).status_code == 202


def test_the_error_for_a_missing_part_counts_the_bytes(api: ApiHarness) -> None:
    presigned = ask(api, LONG).json()
    send(api, presigned | {"requests": presigned["requests"][1:]}, LONG)
    answer = submit(api, presigned)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_unfinished")
    assert f"{len(LONG):,}" in answer.json()["detail"]


def test_a_presigned_upload_that_is_not_audio_is_refused_and_deleted(api: ApiHarness) -> None:
    picture = b"\x89PNG" + bytes(100)
    presigned = ask(api, picture).json()
    send(api, presigned, picture)
    answer = submit(api, presigned)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert not api.jobs.jobs
    assert not api.audio.objects


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"bytes": MAX_BYTES + 1}, 413, "too_large"),
        ({"bytes": 0}, 422, "invalid_parameter"),
        ({"bytes": None}, 422, "invalid_parameter"),
        ({"start_seconds": -1}, 422, "invalid_parameter"),
        ({"surprise": 1}, 422, "invalid_parameter"),
    ],
)
def test_invalid_options_are_refused_and_record_nothing(
    api: ApiHarness, options: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(api, options=options)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not api.jobs.jobs


def test_invalid_json_is_refused(api: ApiHarness) -> None:
    for path in ("/v1/uploads", "/v1/jobs"):
        headers = {"Content-Type": "application/json"}
        answer = api.client.post(path, content=b"{nonsense", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")
        assert api.client.post(path, content=b"[" * 100_000, headers=headers).status_code == 413
        assert api.client.post(path, json={"no": "field"}).status_code == 422


def test_one_key_cannot_submit_the_upload_of_another(api: ApiHarness) -> None:
    mine, yours = (
        {"Authorization": f"Bearer {api.token(Scope.JOBS_WRITE, Scope.JOBS_READ)}"} for _ in range(2)
    )
    presigned = ask(api, headers=mine).json()
    send(api, presigned, SONG)
    assert submit(api, presigned, headers=yours).status_code == 404
    assert submit(api, presigned).status_code == 404
    assert submit(api, presigned, headers=mine).status_code == 202


def test_an_unknown_canceled_or_expired_upload_cannot_be_submitted(api: ApiHarness) -> None:
    assert submit(api, {"upload_id": "nobody"}).status_code == 404
    presigned = ask(api).json()
    send(api, presigned, SONG)
    api.client.post(f"/v1/jobs/{presigned['upload_id']}/cancel")
    assert submit(api, presigned).status_code == 409
    presigned = ask(api).json()
    send(api, presigned, SONG)
    api.jobs.change(presigned["upload_id"], lambda job: replace(job, expires_at=time.time() + 30))
    assert submit(api, presigned).status_code == 404


def test_a_repeated_request_gets_the_same_presigned_upload(api: ApiHarness) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = ask(api, headers=key), ask(api, headers=key)
    assert first.content == again.content
    assert len(api.jobs.jobs) == 1
    assert ask(api, headers=key, options={"bytes": 7}).status_code == 422


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("song", [SONG, LONG], ids=["one piece", "parts"])
def test_an_upload_that_is_never_submitted_is_deleted_with_its_bytes(
    api: ApiHarness, song: bytes, sent: bool
) -> None:
    presigned = ask(api, song).json()
    if sent:
        send(api, presigned, song)
    rescuer = api.rescuer()
    rescuer.run_once(now=time.time() + 1800)
    assert api.jobs.jobs[presigned["upload_id"]].state is JobState.AWAITING_UPLOAD
    assert bool(api.audio.objects or api.audio.uploads) == (sent or song is LONG)
    rescuer.run_once(now=time.time() + 3700)
    assert not api.jobs.jobs
    assert (api.audio.objects, api.audio.uploads) == ({}, {})


def test_an_address_that_clients_cannot_reach_is_not_handed_out(api: ApiHarness) -> None:
    api.direct.problem = "Set KAMMERTON_S3_PUBLIC_URL."
    answer = ask(api)
    assert (answer.status_code, answer.json()["code"]) == (501, "not_configured")
    assert "KAMMERTON_S3_PUBLIC_URL" in answer.json()["detail"]
    assert "retry-after" not in answer.headers
    assert api.jobs.page(JobQuery(limit=1)).jobs == ()
