"""Sends parts of one object to storage: a few at once, each giving its memory back when it is stored."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from anyio import to_thread

from api.uploads.receiving.buffer_pool import Reservation
from shared.ports.audio import PartWriter


async def run(work: Callable[..., object], *args: object, **named: object) -> None:
    """Run a blocking call in a thread."""
    await to_thread.run_sync(partial(work, *args, **named))


Writer = TypeVar("Writer", bound=PartWriter)


class PartUploader(Generic[Writer]):
    """Sends parts of one object, numbered from *parts_stored* + 1. `upload` is None until the first one."""

    def __init__(self, begin: Callable[[], Writer], *, parts_in_flight: int, parts_stored: int = 0) -> None:
        self.upload: Writer | None = None
        self.digest = hashlib.sha256()
        self.number = parts_stored
        self._begin = begin
        self._max_in_flight = parts_in_flight
        self._in_flight: set[asyncio.Task[None]] = set()
        self._dropped = False

    async def send(self, part: bytearray, reservation: Reservation) -> None:
        """Hash a part and start to send it. Takes over its reservation. Raises what an earlier part met."""
        reservation.mark_sending()
        try:
            await self.hash(part)
            await self._wait(self._max_in_flight - 1)
            if self.upload is None:
                self.upload = await to_thread.run_sync(self._begin)
        except BaseException:
            self._dropped = True
            reservation.release()
            raise
        self.number += 1
        self._in_flight.add(asyncio.create_task(self._write(self.upload, part, reservation, self.number)))

    async def hash(self, part: bytearray) -> None:
        """Add a part to the digest, in the order of the parts."""
        await run(self.digest.update, part)

    async def wait_all(self) -> None:
        """Wait until all parts are stored. Raises what one of them met."""
        await self._wait(0)

    async def settle(self) -> bool:
        """Wait until nothing is in flight. Returns whether every part that was given is stored."""
        results = await asyncio.gather(*self._in_flight, return_exceptions=True)
        return not self._dropped and not any(isinstance(result, BaseException) for result in results)

    async def _wait(self, max_in_flight: int) -> None:
        while True:
            done = {task for task in self._in_flight if task.done()}
            for task in done:
                task.result()
            self._in_flight -= done
            if len(self._in_flight) <= max_in_flight:
                return
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    async def _write(self, upload: Writer, part: bytearray, reservation: Reservation, number: int) -> None:
        try:
            await run(upload.write, part, number=number)
        finally:
            reservation.release()
