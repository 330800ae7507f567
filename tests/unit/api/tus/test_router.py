import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.fakes.jobs import MemoryAudioStore
from tests.support.fakes.uploads import MemoryPartStore

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream"}
PART = MemoryAudioStore.part_bytes
SONG = b"fLaC" + bytes(range(256)) * 40
LONG = b"fLaC" + b"".join(bytes([number]) * PART for number in range(2)) + b"the end"


def metadata(**fields: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items())


def begin(api: ApiHarness, length: int, given: str = "", **headers: str) -> Any:
    more = (
        {"Upload-Length": str(length), "Upload-Metadata": given} if given else {"Upload-Length": str(length)}
    )
    return api.client.post("/v1/tus", headers=TUS | more | headers)


def patch(api: ApiHarness, url: str, offset: int, data: Any, **headers: str) -> Any:
    return api.client.patch(url, content=data, headers=CHUNK | {"Upload-Offset": str(offset)} | headers)


def offset_of(api: ApiHarness, url: str) -> int:
    answer = api.client.head(url, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def parts_of(api: ApiHarness) -> MemoryPartStore:
    return api.parts


def test_options_needs_no_api_key(private_api: ApiHarness) -> None:
    answer = private_api.client.options("/v1/tus")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    extensions = set(answer.headers["tus-extension"].split(","))
    assert extensions == {"creation", "creation-with-upload", "checksum", "expiration", "termination"}
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")
    assert answer.headers["tus-max-size"] == str(MAX_BYTES)


@pytest.mark.parametrize("media_type", ["audio/w\nav", "audio/\x00wav", "audio/wav\r\nx-amz-acl: public"])
def test_a_media_type_that_is_no_header_is_not_sent_to_storage(api: ApiHarness, media_type: str) -> None:
    created = begin(api, len(SONG), metadata(filename="song.flac", filetype=media_type))
    assert created.status_code == 201
    job = api.jobs.jobs[created.headers["location"].rpartition("/")[2]]
    assert job.input.media_type == "application/octet-stream"


@pytest.mark.parametrize("song", [SONG, LONG], ids=["short", "long"])
@pytest.mark.parametrize("chunk", [10**9, 3_000_000, PART, PART + 1])
def test_a_file_in_chunks_of_any_size_becomes_a_job(api: ApiHarness, song: bytes, chunk: int) -> None:
    given = metadata(filename="x/söng.flac", filetype="audio/flac", start_seconds="2.5")
    created = begin(api, len(song), given)
    assert created.status_code == 201
    assert created.headers["tus-resumable"] == "1.0.0"
    assert "GMT" in created.headers["upload-expires"]
    url = created.headers["location"]
    job_id = url.rpartition("/")[2]
    assert api.jobs.jobs[job_id].state is JobState.AWAITING_UPLOAD
    head = api.client.head(url, headers=TUS)
    assert (head.headers["upload-length"], head.headers["upload-offset"]) == (str(len(song)), "0")
    assert head.headers["upload-metadata"] == given
    for at in range(0, len(song), chunk):
        assert offset_of(api, url) == at
        assert not api.queue.messages
        answer = patch(api, url, at, song[at : at + chunk])
        assert answer.status_code == 204, answer.text
        assert int(answer.headers["upload-offset"]) == min(at + chunk, len(song))
    job = api.jobs.jobs[job_id]
    assert (job.state, job.start_seconds, job.expires_at) == (JobState.QUEUED, 2.5, None)
    assert (job.input.filename, job.input.media_type) == ("söng.flac", "audio/flac")
    assert {key: data for key, (data, _) in api.audio.objects.items()} == {job_id: song}
    assert api.audio.uploads == {}
    assert api.resumables.resumables == {}
    assert api.queue.messages == {"interactive": [job_id]}
    assert offset_of(api, url) == len(song)


@pytest.mark.parametrize("at", [5000, PART - 1, PART, PART + 1, 2 * PART + 3])
def test_bytes_before_a_broken_connection_are_kept(api: ApiHarness, at: int) -> None:
    """A body that goes beyond its upload's length breaks off where it does."""
    url = begin(api, len(LONG)).headers["location"]

    async def body() -> AsyncIterator[bytes]:
        yield LONG[:at]
        yield LONG[at:] + b"beyond"

    async def send() -> int:
        transport = httpx2.ASGITransport(api.client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            headers = CHUNK | {"Upload-Offset": "0"}
            return (await client.patch(url, content=body(), headers=headers)).status_code

    assert asyncio.run(send()) == 413
    assert offset_of(api, url) == at
    assert patch(api, url, at, LONG[at:]).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


def test_a_part_that_storage_refuses_loses_only_the_bytes_from_it_on(api: ApiHarness) -> None:
    url = begin(api, len(LONG)).headers["location"]
    parts = parts_of(api)
    write = parts.write

    def refuse_second(key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        if number == 2:
            raise Unavailable("The audio storage does not answer; try again later.")
        write(key, part, multipart=multipart, number=number)

    parts.write = refuse_second  # type: ignore[method-assign]
    assert patch(api, url, 0, LONG).status_code == 503
    assert offset_of(api, url) == PART
    parts.write = write  # type: ignore[method-assign]
    assert patch(api, url, PART, LONG[PART:]).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


def test_the_error_for_a_wrong_offset_has_the_right_one(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG[:5000]).status_code == 204
    for wrong in (0, 4999, 5001):
        answer = patch(api, url, wrong, b"x")
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_offset")
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert offset_of(api, url) == 5000


def test_a_newer_request_takes_over_the_upload(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]
    put = api.audio.put

    def put_while_another_takes(*args: Any, **named: Any) -> None:
        api.resumables.acquire(url.rpartition("/")[2], lock_owner="another")
        put(*args, **named)

    api.audio.put = put_while_another_takes  # type: ignore[method-assign]
    answer = patch(api, url, 0, SONG[:5000])
    assert (answer.status_code, answer.json()["code"]) == (409, "taken_over")
    assert api.audio.objects == {}
    api.audio.put = put  # type: ignore[method-assign]
    assert offset_of(api, url) == 0


def test_a_file_that_is_not_audio_is_refused_at_its_first_bytes_and_deleted(api: ApiHarness) -> None:
    url = begin(api, 50_000).headers["location"]
    assert patch(api, url, 0, b"%PDF" + bytes(10_000)).status_code == 415
    assert (api.jobs.jobs, api.audio.objects, api.resumables.resumables) == ({}, {}, {})
    url = begin(api, 3).headers["location"]
    assert patch(api, url, 0, b"%").status_code == 204
    assert patch(api, url, 1, b"PD").status_code == 415
    assert (api.jobs.jobs, api.audio.objects, api.resumables.resumables) == ({}, {}, {})


def test_termination_deletes_everything(api: ApiHarness) -> None:
    url = begin(api, len(LONG)).headers["location"]
    assert patch(api, url, 0, LONG[: PART + 100]).status_code == 204
    assert api.audio.uploads
    assert api.audio.objects
    assert api.client.delete(url, headers=TUS).status_code == 204
    assert (api.jobs.jobs, api.audio.objects, api.audio.uploads) == ({}, {}, {})
    assert api.client.head(url, headers=TUS).status_code == 404
    assert api.client.delete(url, headers=TUS).status_code == 404
    assert patch(api, url, 0, SONG).status_code == 404


def test_a_complete_upload_takes_no_more_bytes(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG).status_code == 204
    for offset, data, status in ((0, SONG, 409), (len(SONG), b"x", 413), (len(SONG) + 1, b"", 409)):
        assert patch(api, url, offset, data).status_code == status
    assert api.queue.messages == {"interactive": [url.rpartition("/")[2]]}


def test_an_empty_patch_at_the_end_of_a_complete_upload_succeeds(api: ApiHarness) -> None:
    """Clients whose last answer was lost send just that, as tuspy does."""
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG).status_code == 204
    answer = patch(api, url, len(SONG), b"")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(SONG)))
    assert {job.state for job in api.jobs.jobs.values()} == {JobState.QUEUED}
    assert api.queue.messages == {"interactive": [url.rpartition("/")[2]]}


def test_a_canceled_upload_takes_no_more_bytes(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG[:5000]).status_code == 204
    assert api.client.post(f"/v1/jobs/{url.rpartition('/')[2]}/cancel").status_code == 200
    for offset in (5000, len(SONG)):
        assert patch(api, url, offset, SONG[offset:]).status_code == 404
    assert {job.state for job in api.jobs.jobs.values()} == {JobState.CANCELED}


REFUSED: dict[str, tuple[dict[str, str], int]] = {
    "no version": ({"Upload-Length": "5"}, 412),
    "another version": ({"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, 412),
    "no length": (TUS, 400),
    "nothing": (TUS | {"Upload-Length": "0"}, 400),
    "deferred length": (TUS | {"Upload-Defer-Length": "1"}, 400),
    "too long": (TUS | {"Upload-Length": str(MAX_BYTES + 1)}, 413),
    "negative": (TUS | {"Upload-Length": "-5"}, 400),
    "signed": (TUS | {"Upload-Length": "+5"}, 400),
    "with underscores": (TUS | {"Upload-Length": "1_0"}, 400),
    "a fraction": (TUS | {"Upload-Length": "5.0"}, 400),
    "endless": (TUS | {"Upload-Length": "9" * 5000}, 400),
    "partial": (TUS | {"Upload-Length": "5", "Upload-Concat": "partial"}, 400),
    "final": (TUS | {"Upload-Concat": "final;/v1/tus/a /v1/tus/b"}, 400),
    "bad queue": (TUS | {"Upload-Length": "5", "Upload-Metadata": metadata(queue="express")}, 400),
    "bad checksum": (TUS | {"Upload-Length": "5", "Upload-Checksum": "sha1 abc"}, 400),
    "bad metadata": (TUS | {"Upload-Length": "5", "Upload-Metadata": "filename %%%"}, 400),
    "bad start": (TUS | {"Upload-Length": "5", "Upload-Metadata": metadata(start_seconds="soon")}, 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_creation_is_refused_and_records_nothing(api: ApiHarness, case: str) -> None:
    headers, status = REFUSED[case]
    answer = api.client.post("/v1/tus", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    assert api.jobs.jobs == {}


def test_an_invalid_patch_is_refused(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG, **{"Content-Type": "audio/flac"}).status_code == 415
    assert patch(api, url, 0, SONG, **{"Tus-Resumable": "2"}).status_code == 412
    assert api.client.patch(url, content=SONG, headers=CHUNK).status_code == 400
    assert patch(api, url, 0, SONG + b"x").status_code == 413
    assert offset_of(api, url) == 0


def test_methods_can_be_overridden_in_a_post(api: ApiHarness) -> None:
    url = begin(api, len(SONG)).headers["location"]

    def post(method: str, content: bytes = b"", **headers: str) -> Any:
        override = {"X-HTTP-Method-Override": method}
        return api.client.post(url, content=content, headers=CHUNK | override | headers)

    assert post("PATCH", SONG[:9000], **{"Upload-Offset": "0"}).status_code == 204
    assert post("HEAD").headers["upload-offset"] == "9000"
    assert post("DELETE").status_code == 204
    assert post("TRACE").status_code == 405
    options = api.client.get("/v1/tus", headers={"X-HTTP-Method-Override": "OPTIONS"})
    assert options.headers["tus-version"] == "1.0.0"


def test_an_upload_belongs_to_its_api_key(api: ApiHarness) -> None:
    mine, yours = (
        {"Authorization": f"Bearer {api.token(Scope.JOBS_WRITE, Scope.JOBS_READ)}"} for _ in range(2)
    )
    url = begin(api, len(SONG), **mine).headers["location"]
    for headers in (yours, {}):
        assert api.client.head(url, headers=TUS | headers).status_code == 404
        assert patch(api, url, 0, SONG, **headers).status_code == 404
        assert api.client.delete(url, headers=TUS | headers).status_code == 404
    assert patch(api, url, 0, SONG, **mine).status_code == 204


def test_a_repeated_creation_is_one_upload(api: ApiHarness) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = begin(api, 100, **key), begin(api, 100, **key)
    assert first.headers["location"] == again.headers["location"]
    assert again.headers["tus-resumable"] == "1.0.0"
    assert begin(api, 101, **key).status_code == 422
    assert len(api.jobs.jobs) == 1


def test_the_next_head_finishes_an_upload_whose_process_was_killed_after_the_last_byte(
    api: ApiHarness,
) -> None:
    url = begin(api, len(LONG)).headers["location"]
    change = api.jobs.change

    def killed(job_id: str, step: Any) -> Any:
        if step(api.jobs.get(job_id)).state is JobState.QUEUED:
            raise Unavailable("The job store does not answer; try again later.")
        return change(job_id, step)

    api.jobs.change = killed  # type: ignore[method-assign]
    assert patch(api, url, 0, LONG).status_code == 503
    api.jobs.change = change  # type: ignore[method-assign]
    assert not api.queue.messages
    assert offset_of(api, url) == len(LONG)
    assert api.queue.messages == {"interactive": [url.rpartition("/")[2]]}
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


def test_parts_of_an_upload_are_orphans_only_after_it_expires(api: ApiHarness) -> None:
    url = begin(api, len(LONG)).headers["location"]
    assert patch(api, url, 0, LONG[: PART + 100]).status_code == 204
    rescuer = api.rescuer()
    rescuer.run_once(now=time.time() + 1800)
    assert offset_of(api, url) == PART + 100
    rescuer.run_once(now=time.time() + 3700)
    assert (api.jobs.jobs, api.audio.objects, api.audio.uploads) == ({}, {}, {})
    assert api.client.head(url, headers=TUS).status_code == 404
