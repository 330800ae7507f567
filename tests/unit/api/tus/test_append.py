"""What a request leaves of an upload that it could not end: all that was there, and no false end."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from api.config import JobLimits
from api.http.limits.slow_clients import MinRateTimeout
from api.tus.append import Append
from api.tus.storage import TusStorage
from api.uploads.receiving.buffer_pool import BufferPool, Reservation
from api.uploads.receiving.receiver import UploadReceiver
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from shared.errors import Overloaded, Unavailable
from shared.ports.uploads import TusUpload
from tests.support.api_harness import ApiHarness
from tests.support.fakes.jobs import MemoryAudioStore
from tests.unit.api.tus.test_router import CHUNK, begin, offset_of, patch

PART = MemoryAudioStore.part_bytes
SHORT = b"fLaC" + random.Random(1).randbytes(100_000)
LONG = b"fLaC" + random.Random(2).randbytes(2 * PART + 300_000)


def fails_once(call: Callable[..., Any], when: Callable[..., bool] = lambda *_, **__: True) -> Any:
    """What storage does that fails once."""
    left = iter([True])

    def failing(*args: Any, **named: Any) -> Any:
        if when(*args, **named) and next(left, False):
            raise Unavailable("The audio storage does not answer; try again later.")
        return call(*args, **named)

    return failing


def put_fails(api: ApiHarness, job_id: str) -> None:
    api.audio.put = fails_once(api.audio.put, lambda key, *_, **__: key == job_id)  # type: ignore[method-assign]


def last_part_fails(api: ApiHarness, job_id: str) -> None:
    api.parts.write = fails_once(api.parts.write, lambda *_, number, **__: number == 3)  # type: ignore[method-assign]


def first_part_fails(api: ApiHarness, job_id: str) -> None:
    api.parts.start = fails_once(api.parts.start)  # type: ignore[method-assign]


@pytest.mark.parametrize("sent_before", [0, 5000, 90_000])
@pytest.mark.parametrize(
    ("song", "fail"), [(SHORT, put_fails), (LONG, last_part_fails), (LONG, first_part_fails)]
)
def test_a_last_write_that_fails_keeps_all_acknowledged_bytes(
    api: ApiHarness, song: bytes, fail: Callable[[ApiHarness, str], None], sent_before: int
) -> None:
    url = begin(api, len(song)).headers["location"]
    job_id = url.rpartition("/")[2]
    if sent_before:
        assert patch(api, url, 0, song[:sent_before]).status_code == 204
    fail(api, job_id)
    assert patch(api, url, sent_before, song[sent_before:]).status_code == 503
    offset = offset_of(api, url)
    assert sent_before <= offset < len(song)
    assert offset_of(api, url) == offset
    assert patch(api, url, offset, song[offset:]).status_code == 204
    assert {key: data for key, (data, _) in api.audio.objects.items()} == {job_id: song}
    assert api.audio.uploads == {}
    assert api.queue.messages == {"interactive": [job_id]}


def raw_patch(api: ApiHarness, url: str, messages: Iterator[dict[str, Any]]) -> int:
    """A chunked body, as the server hands it to the app."""
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = CHUNK | {"Host": "testserver", "Upload-Offset": "0", "Transfer-Encoding": "chunked"}
    scope = {
        "type": "http",
        "method": "PATCH",
        "path": url,
        "raw_path": url.encode(),
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("testserver", 80),
        "client": ("192.0.2.1", 1),
        "root_path": "",
        "state": {},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(api.client.app(scope, receive, send))  # type: ignore[arg-type]
    return int(sent[0]["status"])


def piece(data: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": True}


ENDS = {"hung up": ({"type": "http.disconnect"}, 400), "one byte too many": (piece(b"x"), 413)}


@pytest.mark.parametrize("song", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("end", ENDS)
def test_a_request_that_breaks_after_the_last_byte_loses_one_byte(
    api: ApiHarness, song: bytes, end: str
) -> None:
    message, status = ENDS[end]
    url = begin(api, len(song)).headers["location"]
    assert raw_patch(api, url, iter([piece(song[:4000]), piece(song[4000:]), message])) == status
    assert offset_of(api, url) == len(song) - 1
    assert patch(api, url, len(song) - 1, song[-1:]).status_code == 204
    assert [data for data, _ in api.audio.objects.values()] == [song]


def awaiting(api: ApiHarness, size_bytes: int) -> Job:
    """An upload of which nothing has come."""
    job = Job(
        id="job-1",
        state=JobState.AWAITING_UPLOAD,
        queue="interactive",
        created_at=time.time(),
        input=AudioInput(size_bytes=size_bytes),
        attempts_allowed=3,
        keep_seconds=60,
    )
    api.jobs.add(job)
    api.resumables.add(TusUpload(id="job-1", metadata="", lock_owner=""))
    return job


class NoMoreThan(BufferPool):
    """Memory that is full for everybody who wants more than this in one buffer."""

    most_bytes = 0

    async def _grow(self, reservation: Reservation, size_bytes: int, wait_seconds: float) -> None:
        if size_bytes > self.most_bytes:
            raise Overloaded("Too many uploads are under way; send the file again in a few seconds.")
        await super()._grow(reservation, size_bytes, wait_seconds)


def test_acknowledged_bytes_stay_when_there_is_no_memory_for_the_last_bytes() -> None:
    api = ApiHarness()
    pool = NoMoreThan(2 * PART, part_bytes=PART)
    pool.most_bytes = 16 * 1024
    limits = JobLimits(max_upload_bytes=PART, upload_idle_timeout_seconds=5, attempts=3, keep_seconds=60)
    song = SHORT[: pool.most_bytes + 10]
    storage = TusStorage(jobs=api.jobs, audio=api.audio, parts=api.parts, uploads=api.resumables)
    job = awaiting(api, len(song))

    async def write(lock_owner: str, data: bytes) -> None:
        before = storage.look_up(job, api.resumables.acquire("job-1", lock_owner=lock_owner))
        timeout = MinRateTimeout(idle_seconds=5, min_bytes_per_second=1)

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        async def ignore(_: int) -> None:
            pass

        async with UploadReceiver(pool, timeout, limits, offset=before.offset) as receiver:
            append = Append(before, receiver, storage, lock_owner=lock_owner, parts_in_flight=1)
            await append.write(chunks(), ignore)

    asyncio.run(write("a", song[:-10]))
    with pytest.raises(Overloaded):
        asyncio.run(write("b", song[-10:]))
    assert storage.look_up(job, api.resumables.get("job-1")).offset == len(song) - 10


def test_two_requests_that_start_an_object_at_once_write_to_one() -> None:
    api = ApiHarness()
    storage = TusStorage(jobs=api.jobs, audio=api.audio, parts=api.parts, uploads=api.resumables)
    job = awaiting(api, 2 * PART)
    faster, slower = storage.start_or_resume(job), storage.start_or_resume(job)
    faster.write(bytes(PART), number=1)
    slower.write(bytes(PART), number=2)
    assert storage.look_up(api.jobs.get("job-1"), api.resumables.get("job-1")).offset == 2 * PART
    assert len(api.audio.uploads) == 1
