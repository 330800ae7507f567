"""Parts on their way: what was given to a sender and never started on its way has not arrived."""

import asyncio
import threading

import pytest

from api.uploads.buffer_pool import BufferPool
from api.uploads.part_uploader import PartSender
from shared.errors import Unavailable
from shared.ports.audio import AudioUpload
from tests.support.fakes.jobs import MemoryAudioStore

PART = bytes(1000)


class Held:
    """An upload whose parts don't arrive before they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        assert self.let_go.wait(60)

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


def test_a_part_whose_object_could_not_be_begun_has_not_arrived() -> None:
    def away() -> AudioUpload:
        raise Unavailable("The audio storage does not answer; try again later.")

    async def send() -> None:
        budget = BufferPool(len(PART), part_bytes=len(PART))
        hold = budget.hold()
        await hold.grow(len(PART), wait_seconds=60)
        sender = PartSender(away, parts_in_flight=1)
        with pytest.raises(Unavailable):
            await sender.send(bytearray(PART), hold)
        assert not await sender.settled()
        assert budget.held_bytes == 0

    asyncio.run(send())


def test_a_part_that_waited_for_its_turn_when_its_request_was_canceled_has_not_arrived() -> None:
    async def send() -> None:
        budget = BufferPool(2 * len(PART), part_bytes=len(PART))
        upload = Held()
        sender = PartSender(lambda: upload, parts_in_flight=1)
        await sender.send(bytearray(PART), budget.hold())
        second = asyncio.create_task(sender.send(bytearray(PART), budget.hold()))
        assert not (await asyncio.wait([second], timeout=0))[0]
        second.cancel()
        upload.let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not await sender.settled()

    asyncio.run(send())


def test_parts_that_all_landed_have_arrived() -> None:
    audio = MemoryAudioStore()

    async def send() -> None:
        budget = BufferPool(2 * len(PART), part_bytes=len(PART))
        sender = PartSender(lambda: audio.start_upload("a", media_type="audio/wav"), parts_in_flight=1)
        for _ in range(3):
            await sender.send(bytearray(PART), budget.hold())
        assert await sender.settled()
        assert sender.upload is not None
        sender.upload.finish()

    asyncio.run(send())
    assert audio.objects["a"][0] == 3 * PART
