"""The bytes of one file → storage, through a bounded buffer; nothing stays behind on any failure."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
from anyio import to_thread

from shared.errors import BadRequest, TooLarge, Unavailable
from shared.logs import get_logger
from shared.ports import AudioStore, AudioUpload

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What arrived."""

    size_bytes: int
    sha256: str


async def receive(
    chunks: AsyncIterator[bytes], *, key: str, media_type: str, audio: AudioStore, max_bytes: int
) -> Received:
    """Store chunks as one object, one part in flight while the next one fills.

    Raises:
        BadRequest: there was no byte.
        TooLarge: there were more than `max_bytes`.
        Unavailable: storage is away.
    """
    sender = _Sender(audio.begin(key, media_type=media_type))
    try:
        part = bytearray()
        async for chunk in chunks:
            sender.size_bytes += len(chunk)
            if sender.size_bytes > max_bytes:
                raise too_large(max_bytes)
            rest = memoryview(chunk)
            while rest:
                room = audio.part_bytes - len(part)
                part += rest[:room]
                rest = rest[room:]
                if len(part) == audio.part_bytes:
                    await sender.send(part)
                    part = bytearray()
        if sender.size_bytes == 0:
            raise BadRequest("The upload is empty; send the bytes of an audio file.", code="empty_upload")
        if part:
            await sender.send(part)
        await sender.finish()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await sender.abort()
        raise
    return Received(size_bytes=sender.size_bytes, sha256=sender.digest.hexdigest())


def too_large(max_bytes: int) -> TooLarge:
    """The same sentence for a declared and a counted size."""
    return TooLarge(f"The file is larger than {max_bytes:,} bytes, the most that is taken here.")


class _Sender:
    """One part under way in a thread, never two: what is held is that part and the one that fills."""

    def __init__(self, upload: AudioUpload) -> None:
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self._upload = upload
        self._under_way: asyncio.Task[None] | None = None

    async def send(self, part: bytearray) -> None:
        await self._landed()
        self._under_way = asyncio.create_task(to_thread.run_sync(self._write, part))

    async def finish(self) -> None:
        await self._landed()
        await to_thread.run_sync(self._upload.finish)

    async def abort(self) -> None:
        with contextlib.suppress(Unavailable, asyncio.CancelledError):
            await self._landed()
        try:
            await to_thread.run_sync(self._upload.abort)
        except Unavailable as error:
            _log.warning("upload_not_aborted", why=error.message)

    async def _landed(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await asyncio.shield(under_way)

    def _write(self, part: bytearray) -> None:
        self.digest.update(part)
        self._upload.write(part)
