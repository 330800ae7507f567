"""A part that was given to an uploader and never sent does not count as stored."""

import asyncio
import threading

import pytest

from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.receiving.part_uploader import PartUploader
from shared.errors import Unavailable
from shared.ports.audio import AudioUpload
from tests.support.fakes.jobs import MemoryAudioStore

PART = bytes(1000)


class BlockedUpload:
    """An upload whose parts are stored only once they are released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        assert self.released.wait(60)

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


def test_a_part_is_not_stored_if_its_object_cannot_be_started() -> None:
    def unavailable() -> AudioUpload:
        raise Unavailable("The audio storage does not answer; try again later.")

    async def send() -> None:
        pool = BufferPool(len(PART), part_bytes=len(PART))
        reservation = pool.reserve()
        await reservation.grow(len(PART), wait_seconds=60)
        uploader = PartUploader(unavailable, parts_in_flight=1)
        with pytest.raises(Unavailable):
            await uploader.send(bytearray(PART), reservation)
        assert not await uploader.settle()
        assert pool.used_bytes == 0

    asyncio.run(send())


def test_a_part_is_not_stored_if_its_request_is_canceled_while_it_waits() -> None:
    async def send() -> None:
        pool = BufferPool(2 * len(PART), part_bytes=len(PART))
        upload = BlockedUpload()
        uploader = PartUploader(lambda: upload, parts_in_flight=1)
        await uploader.send(bytearray(PART), pool.reserve())
        second = asyncio.create_task(uploader.send(bytearray(PART), pool.reserve()))
        assert not (await asyncio.wait([second], timeout=0))[0]
        second.cancel()
        upload.released.set()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not await uploader.settle()

    asyncio.run(send())


def test_all_parts_are_stored_once_all_have_been_sent() -> None:
    audio = MemoryAudioStore()

    async def send() -> None:
        pool = BufferPool(2 * len(PART), part_bytes=len(PART))
        uploader = PartUploader(lambda: audio.start_upload("a", media_type="audio/wav"), parts_in_flight=1)
        for _ in range(3):
            await uploader.send(bytearray(PART), pool.reserve())
        assert await uploader.settle()
        assert uploader.upload is not None
        uploader.upload.finish()

    asyncio.run(send())
    assert audio.objects["a"][0] == 3 * PART
