"""Parts on their way to storage: a few at once, each giving its memory back when it has landed."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

from anyio import to_thread

from api.uploads.buffer_pool import Reservation
from shared.ports.audio import AudioUpload


async def run(work: Callable[..., object], *args: object, **named: object) -> None:
    """Call something that blocks, in a thread."""
    await to_thread.run_sync(partial(work, *args, **named))


class PartSender:
    """Sends parts of one object, numbered from *sent* + 1. `upload` is None until the first one."""

    def __init__(self, begin: Callable[[], AudioUpload], *, parts_in_flight: int, sent: int = 0) -> None:
        self.upload: AudioUpload | None = None
        self.digest = hashlib.sha256()
        self.number = sent
        self._begin = begin
        self._most = parts_in_flight
        self._under_way: set[asyncio.Task[None]] = set()
        self._dropped = False

    async def send(self, part: bytearray, hold: Reservation) -> None:
        """Hash a part and start it on its way. Raises what an earlier one met."""
        hold.send()
        try:
            await self.hash(part)
            await self._landed(self._most - 1)
            if self.upload is None:
                self.upload = await to_thread.run_sync(self._begin)
        except BaseException:
            self._dropped = True
            hold.release()
            raise
        self.number += 1
        self._under_way.add(asyncio.create_task(self._write(self.upload, part, hold, self.number)))

    async def hash(self, part: bytearray) -> None:
        """Continue the digest with a part, in the order of the parts."""
        await run(self.digest.update, part)

    async def landed(self) -> None:
        """Wait until all have arrived. Raises what one of them met."""
        await self._landed(0)

    async def settled(self) -> bool:
        """Wait until none is under way any more: whether all that were handed over have arrived."""
        ends = await asyncio.gather(*self._under_way, return_exceptions=True)
        return not self._dropped and not any(isinstance(end, BaseException) for end in ends)

    async def _landed(self, most_left: int) -> None:
        while True:
            done = {task for task in self._under_way if task.done()}
            for task in done:
                task.result()
            self._under_way -= done
            if len(self._under_way) <= most_left:
                return
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _write(self, upload: AudioUpload, part: bytearray, hold: Reservation, number: int) -> None:
        try:
            await run(upload.write, part, number=number)
        finally:
            hold.release()
