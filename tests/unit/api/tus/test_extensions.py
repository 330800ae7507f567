"""creation-with-upload, checksum, termination and the rules for every request: what tus clients rely on."""

import base64
import hashlib
from typing import Any

import pytest

from tests.support.api_harness import ApiHarness
from tests.support.fakes.jobs import MemoryAudioStore
from tests.unit.api.tus.test_router import CHUNK, LONG, SONG, TUS, begin, metadata, offset_of, patch

PART = MemoryAudioStore.part_bytes


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    digest = hashlib.new(algorithm, data).digest()
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(digest).decode()}"}


def create_with(api: ApiHarness, song: bytes, first: bytes, **headers: str) -> Any:
    return api.client.post(
        "/v1/tus", content=first, headers=CHUNK | {"Upload-Length": str(len(song))} | headers
    )


@pytest.mark.parametrize("song", [SONG, LONG], ids=["short", "long"])
def test_a_file_can_be_created_with_all_its_bytes(api: ApiHarness, song: bytes) -> None:
    response = create_with(api, song, song)
    assert (response.status_code, response.headers["upload-offset"]) == (201, str(len(song)))
    assert [data for data, _ in api.audio.objects.values()] == [song]
    assert api.queue.messages == {"interactive": [response.headers["location"].rpartition("/")[2]]}


def test_a_file_can_be_created_with_its_first_bytes(api: ApiHarness) -> None:
    response = create_with(api, LONG, LONG[: PART + 5], **checksum(LONG[: PART + 5]))
    assert (response.status_code, response.headers["upload-offset"]) == (201, str(PART + 5))
    url = response.headers["location"]
    assert patch(api, url, PART + 5, LONG[PART + 5 :]).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


def test_a_creation_with_too_many_bytes_is_refused(api: ApiHarness) -> None:
    assert create_with(api, SONG, SONG + b"x").status_code == 413


def test_the_body_of_another_type_is_not_part_of_the_file(api: ApiHarness) -> None:
    response = create_with(api, SONG, b"{}", **{"Content-Type": "application/json"})
    assert response.status_code == 201
    assert offset_of(api, response.headers["location"]) == 0


def test_a_repeated_creation_with_bytes_is_one_upload(api: ApiHarness) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = create_with(api, SONG, SONG[:5000], **key), create_with(api, SONG, SONG[:5000], **key)
    assert first.headers["location"] == again.headers["location"]
    assert again.headers["upload-offset"] == "5000"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_matching_checksum_is_accepted(api: ApiHarness, algorithm: str) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG, **checksum(SONG, algorithm)).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [SONG]


@pytest.mark.parametrize(
    "kept", [0, 4500, PART + 100], ids=["at the start", "after a remainder", "after a part"]
)
@pytest.mark.parametrize("bad", [100, PART + 7, None], ids=["a few bytes", "a part", "all"])
def test_bytes_that_do_not_match_their_checksum_are_discarded(
    api: ApiHarness, kept: int, bad: int | None
) -> None:
    url = begin(api, len(LONG)).headers["location"]
    if kept:
        assert patch(api, url, 0, LONG[:kept]).status_code == 204
    sent = LONG[kept:] if bad is None else LONG[kept : kept + bad]
    broken = sent[:-1] + b"?"
    response = patch(api, url, kept, broken, **checksum(sent))
    assert (response.status_code, response.json()["code"]) == (460, "checksum_mismatch")
    assert offset_of(api, url) == kept
    assert api.queue.messages == {}
    assert patch(api, url, kept, LONG[kept : kept + 10]).status_code == 204
    assert offset_of(api, url) == kept + 10
    rest = LONG[kept + 10 :]
    assert patch(api, url, kept + 10, rest, **checksum(rest)).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_content_digest_is_compared_like_a_checksum(api: ApiHarness, algorithm: str) -> None:
    def digest(data: bytes) -> dict[str, str]:
        value = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
        return {"Content-Digest": f"{algorithm.replace('sha', 'sha-')}=:{value}:"}

    url = begin(api, len(LONG)).headers["location"]
    response = patch(api, url, 0, LONG[: PART + 5], **digest(LONG))
    assert (response.status_code, response.json()["code"]) == (400, "digest_mismatch")
    assert offset_of(api, url) == 0
    assert patch(api, url, 0, LONG[: PART + 5], **digest(LONG[: PART + 5])).status_code == 204
    rest = LONG[PART + 5 :]
    assert patch(api, url, PART + 5, rest, **digest(rest) | checksum(LONG)).status_code == 460
    assert patch(api, url, PART + 5, rest, **digest(rest) | checksum(rest)).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [LONG]


def test_the_content_digest_of_a_creation_covers_its_bytes(api: ApiHarness) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    assert create_with(api, SONG, SONG, **{"Content-Digest": f"sha-256=:{wrong}:"}).status_code == 400
    assert api.queue.messages == {}


@pytest.mark.parametrize("value", ["sha1", "sha1 abc", "crc32 AAAAAA==", "", "sha1 " + "A" * 9000])
def test_a_malformed_checksum_is_refused(api: ApiHarness, value: str) -> None:
    url = begin(api, len(SONG)).headers["location"]
    assert patch(api, url, 0, SONG, **{"Upload-Checksum": value}).status_code == 400
    assert offset_of(api, url) == 0


def test_a_complete_upload_can_be_terminated(api: ApiHarness) -> None:
    url = create_with(api, SONG, SONG).headers["location"]
    assert api.client.delete(url, headers=TUS).status_code == 204
    assert (api.jobs.jobs, api.audio.objects) == ({}, {})
    assert api.client.head(url, headers=TUS).status_code == 404


def test_a_trailing_slash_is_not_redirected(api: ApiHarness) -> None:
    created = api.client.post(
        "/v1/tus/", headers=TUS | {"Upload-Length": str(len(SONG))}, follow_redirects=False
    )
    assert created.status_code == 201
    url = created.headers["location"]
    assert "//" not in url
    assert patch(api, url + "/", 0, SONG).status_code == 204
    assert api.client.options("/v1/tus/").headers["tus-version"] == "1.0.0"
    assert api.client.options(url).headers["tus-version"] == "1.0.0"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tus"),
        ("PUT", "/v1/tus/x"),
        ("HEAD", "/v1/tus/x"),
        ("GET", "/v1/tus/x/y"),
        ("POST", "/v1/tus"),
    ],
)
def test_every_response_has_the_version(private_api: ApiHarness, method: str, path: str) -> None:
    response = private_api.client.request(method, path)
    assert response.status_code >= 400
    assert response.headers["tus-resumable"] == "1.0.0"
    assert "tus-resumable" not in private_api.client.request(method, "/v1/jobs/x").headers


def test_metadata_can_have_all_options(api: ApiHarness) -> None:
    options = metadata(
        filename="a.flac",
        start_seconds="3",
        queue="batch",
        callback_url="https://hooks.example/x",
        events="job.succeeded",
    )
    response = begin(api, len(SONG), options)
    url = response.headers["location"]
    assert response.headers["callback-secret"].startswith("whsec_")
    assert patch(api, url, 0, SONG).status_code == 204
    (job,) = api.jobs.jobs.values()
    assert (job.start_seconds, job.queue, job.input.filename) == (3.0, "batch", "a.flac")
    assert job.callback is not None
    assert job.callback.events == ("job.succeeded",)
