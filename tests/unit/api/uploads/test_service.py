"""What an upload is held to before, while and after its bytes arrive."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.config import JobLimits
from api.http.limits.slow_clients import MinRateTimeout
from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.receiving.receiver import UploadReceiver, UploadTarget
from shared.domain.job import Job
from shared.errors import Overloaded, Unavailable
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.fakes.jobs import MemoryAudioStore

SONG = b"fLaC" + bytes(range(256)) * 40


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    digest = base64.b64encode(hashlib.new(algorithm, body).digest()).decode()
    return f"{algorithm.replace('sha', 'sha-')}=:{digest}:"


def stays_clean(api: ApiHarness) -> bool:
    return not (
        api.audio.objects or api.audio.uploads or api.jobs.jobs or api.queue.messages or api.uploads.uploads
    )


class Untouchable(MemoryAudioStore):
    """Storage that is not to be touched."""

    def put(self, *_: Any, **__: Any) -> None:
        raise AssertionError("storage was touched")

    def start_upload(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("storage was touched")

    def delete(self, key: str) -> None:
        raise AssertionError("storage was touched")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (SONG, {"Content-Length": str(MAX_BYTES + 1)}, 413),
        (b"%PDF-1.4" + SONG, {"Content-Type": "audio/mpeg"}, 415),
        (b"x", {}, 415),
        (b"", {}, 400),
        (SONG, {"Content-Digest": "sha-256=:nonsense:"}, 400),
    ],
)
def test_an_upload_that_is_refused_early_never_touches_storage(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    api = ApiHarness(audio=Untouchable())
    with api.client as client:
        answer = client.post("/v1/jobs", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert stays_clean(api)


def test_the_error_for_a_large_upload_has_the_limit(api: ApiHarness) -> None:
    answer = api.client.post("/v1/jobs", content=SONG, headers={"Content-Length": str(10**12)})
    assert answer.json()["limit_bytes"] == MAX_BYTES
    assert f"{MAX_BYTES:,}" in answer.json()["detail"]


def test_the_error_for_a_file_that_is_not_audio_names_its_format(api: ApiHarness) -> None:
    answer = api.client.post("/v1/jobs", files={"file": ("song.mp3", b"PK\x03\x04" + SONG, "audio/mpeg")})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert "ZIP" in answer.json()["detail"]


def test_a_matching_digest_is_accepted_and_a_wrong_one_stores_nothing(api: ApiHarness) -> None:
    good = api.client.post("/v1/jobs", content=SONG, headers={"Content-Digest": digest_of(SONG)})
    assert good.status_code == 202
    api.client.delete(good.headers["location"])
    api.queue.messages.clear()
    for body in (SONG, SONG + bytes(11 * 1024 * 1024)):
        answer = api.client.post("/v1/jobs", content=body, headers={"Content-Digest": digest_of(b"else")})
        assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
        assert stays_clean(api)


def test_the_digest_of_a_form_covers_the_whole_form(api: ApiHarness) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + SONG + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    good = api.client.post("/v1/jobs", content=body, headers=headers | {"Content-Digest": digest_of(body)})
    bad = api.client.post("/v1/jobs", content=body, headers=headers | {"Content-Digest": digest_of(SONG)})
    assert (good.status_code, bad.status_code) == (202, 400)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["md5=:AA:"], 202),
        ([f"md5=:AA:, {digest_of(SONG)}"], 202),
        (["md5=:AA:", digest_of(SONG)], 202),
        ([digest_of(SONG, "sha512")], 202),
        ([digest_of(SONG), digest_of(SONG, "sha512")], 202),
        ([digest_of(SONG), digest_of(b"else", "sha512")], 400),
        (["md5=:AA:", digest_of(b"else")], 400),
        (["sha-512=:AAAA:"], 400),
    ],
)
def test_every_known_digest_on_every_line_is_compared(api: ApiHarness, lines: list[str], status: int) -> None:
    headers = [("Content-Digest", line) for line in lines]
    assert api.client.post("/v1/jobs", content=SONG, headers=headers).status_code == status
    assert bool(api.jobs.jobs) == (status == 202)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-flac",
        "binary/octet-stream",
        "text/html",
        "application/x-www-form-urlencoded",
        "image/png",
        "x" * 500,
        "audio/" + "x" * 500,
        "",
    ],
)
def test_a_wrong_declared_type_does_not_matter_if_the_bytes_are_audio(
    api: ApiHarness, media_type: str
) -> None:
    raw = api.client.post("/v1/jobs", content=SONG, headers={"Content-Type": media_type})
    assert (raw.status_code, raw.json()["input"]["media_type"]) == (202, "application/octet-stream")
    form = api.client.post("/v1/jobs", files={"file": ("a.flac", SONG, media_type)})
    assert form.status_code == 202


def test_a_part_that_is_called_a_form_is_a_file(api: ApiHarness) -> None:
    form = api.client.post("/v1/jobs", files={"file": ("a.flac", SONG, "multipart/form-data")})
    assert (form.status_code, form.json()["input"]["bytes"]) == (202, len(SONG))


def test_an_upload_is_registered_only_while_it_runs(api: ApiHarness) -> None:
    put = api.audio.put

    def put_and_look(key: str, *args: Any, **named: Any) -> None:
        assert [upload.id for upload in api.uploads.list_alive()] == [key]
        put(key, *args, **named)

    api.audio.put = put_and_look  # type: ignore[method-assign]
    assert api.client.post("/v1/jobs", params={"filename": "a.flac"}, content=SONG).status_code == 202
    assert api.uploads.list_alive() == ()


def test_a_job_that_may_have_been_recorded_keeps_its_audio(api: ApiHarness) -> None:
    """Audio without a record is the rescuer's; a record without audio would be a lie."""
    add = api.jobs.add

    def recorded_but_unanswered(job: Job) -> None:
        add(job)
        raise Unavailable("The job store does not answer; try again later.")

    def unavailable(job_id: str) -> None:
        raise Unavailable("The job store does not answer; try again later.")

    api.jobs.add = recorded_but_unanswered  # type: ignore[method-assign]
    api.jobs.remove = unavailable  # type: ignore[method-assign]
    assert api.client.post("/v1/jobs", content=SONG).status_code == 503
    assert set(api.jobs.jobs) == set(api.audio.objects)


def test_a_part_that_storage_refuses_fails_the_upload_and_leaves_nothing(api: ApiHarness) -> None:
    begin = api.audio.start_upload

    def failing(key: str, *, media_type: str) -> Any:
        upload = begin(key, media_type=media_type)
        write = upload.write

        def refuse_second(part: bytes | bytearray, *, number: int) -> None:
            write(part, number=number)
            if number == 2:
                raise Unavailable("The audio storage does not answer; try again later.")

        upload.write = refuse_second  # type: ignore[method-assign]
        return upload

    api.audio.start_upload = failing  # type: ignore[method-assign]
    answer = api.client.post("/v1/jobs", content=b"fLaC" + bytes(MAX_BYTES - 10))
    assert answer.status_code == 503
    assert stays_clean(api)


def make_limits(**changes: Any) -> JobLimits:
    fields: dict[str, Any] = {
        "max_upload_bytes": MAX_BYTES,
        "upload_idle_timeout_seconds": 5,
        "attempts": 3,
        "keep_seconds": 60,
    }
    return JobLimits(**fields | changes)


def test_a_new_upload_without_memory_is_refused_before_its_body_is_read() -> None:
    audio = MemoryAudioStore()
    limits = make_limits(upload_wait_seconds=0.01)

    async def scene() -> None:
        pool = BufferPool(audio.part_bytes, part_bytes=audio.part_bytes)
        other = pool.reserve()
        await other.grow(audio.part_bytes, wait_seconds=0)
        timeout = MinRateTimeout(idle_seconds=1, min_bytes_per_second=1)
        with pytest.raises(Overloaded):
            async with UploadReceiver(pool, timeout, limits):
                raise AssertionError("it was let in")
        other.release()
        async with UploadReceiver(pool, timeout, limits):
            assert pool.used_bytes > 0
        assert pool.used_bytes == 0

    asyncio.run(scene())


async def ignore(_: int) -> None:
    pass


def test_more_uploads_than_fit_in_memory_all_finish_within_the_budget() -> None:
    audio = MemoryAudioStore()
    body = b"fLaC" + bytes(2 * audio.part_bytes + 7)
    most_held = 0

    async def scene() -> None:
        pool = BufferPool(2 * audio.part_bytes, part_bytes=audio.part_bytes)

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal most_held
            for at in range(0, len(body), 100_000):
                most_held = max(most_held, pool.used_bytes)
                yield body[at : at + 100_000]
                await asyncio.sleep(0)

        async def upload(key: str) -> None:
            timeout = MinRateTimeout(idle_seconds=60, min_bytes_per_second=1)
            async with UploadReceiver(pool, timeout, make_limits(upload_wait_seconds=60)) as receiver:
                target = UploadTarget(key=key, media_type="audio/flac", audio=audio)
                async with receiver.store(chunks(), target, ignore) as pending:
                    await pending.commit()

        await asyncio.gather(*(upload(f"job-{number}") for number in range(8)))
        assert pool.used_bytes == 0

    asyncio.run(scene())
    assert {data for data, _ in audio.objects.values()} == {body}
    assert len(audio.objects) == 8
    assert audio.part_bytes <= most_held <= 2 * audio.part_bytes


def test_the_remainder_of_an_earlier_request_is_read_within_the_budget() -> None:
    audio = MemoryAudioStore()
    left = bytes(range(256)) * 1000
    held: list[int] = []

    async def scene() -> bytes:
        pool = BufferPool(audio.part_bytes, part_bytes=audio.part_bytes)

        def fill(room: bytearray) -> None:
            held.append(pool.used_bytes)
            room[:] = left

        async def more() -> AsyncIterator[bytes]:
            yield b"more"

        timeout = MinRateTimeout(idle_seconds=60, min_bytes_per_second=1)
        async with UploadReceiver(pool, timeout, make_limits(), offset=len(left)) as receiver:
            await receiver.prepend(len(left), fill)
            assert [part async for part in receiver.parts(more(), ignore)] == []
            return bytes(receiver.rest)

    assert asyncio.run(scene()) == left + b"more"
    assert held[0] >= len(left)
