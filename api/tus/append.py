"""One request's bytes of an upload that goes on, after those of the requests before it."""

from collections.abc import AsyncIterator
from functools import partial

import anyio
from fastapi.concurrency import run_in_threadpool

from api.tus.storage import StoredUpload, TusStorage
from api.uploads.part_uploader import PartSender, run
from api.uploads.receiver import Receiver
from shared.errors import Unavailable, UnsupportedMedia
from shared.observability.logs import get_logger
from shared.ports.audio import AudioUpload

_log = get_logger(__name__)


class Continuation:
    """Writes full parts as they come, and leaves the rest as the tail."""

    def __init__(
        self,
        before: StoredUpload,
        receiver: Receiver,
        *,
        arrivals: TusStorage,
        holder: str,
        parts_in_flight: int,
    ) -> None:
        """*holder*: this request; another may take the upload over from it."""
        self._before = before
        self._job = before.job
        self._receiver = receiver
        self._arrivals = arrivals
        self._holder = holder
        self._in_parts = before.offset - (before.tail.size_bytes if before.tail else 0)
        self._sender = PartSender(self._begin, parts_in_flight=parts_in_flight, sent=before.parts)

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        """All of them. What came before a failure is kept, as far as it is without a gap.

        Raises what *chunks* raise, and Conflict where another request has taken the upload over.
        """
        if tail := self._before.tail:
            await self._receiver.seed(tail.size_bytes, partial(self._arrivals.read_remainder, tail))
        try:
            async for part, hold in self._receiver.full_parts(chunks):
                self._in_parts += len(part)
                await self._sender.send(part, hold)
                del part
            if self._has_all:
                await self._end()
            else:
                await self._sender.landed()
                await run(self._save_remainder)
        except UnsupportedMedia:
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._keep_what_came()
            raise

    @property
    def _has_all(self) -> bool:
        return self._in_parts + len(self._receiver.rest) == self._before.length

    async def _end(self) -> None:
        """The last part may be short; a small file needs no parts at all."""
        rest = self._receiver.rest
        if self._sender.number == 0 and self._job.multipart is None:
            media_type = self._job.input.media_type or ""
            await run(self._arrivals.audio.put, self._job.id, rest, media_type=media_type)
            return
        await self._sender.landed()
        if rest:
            upload: AudioUpload | None = self._sender.upload
            if upload is None:
                upload = await run_in_threadpool(self._begin)
            await run(upload.write, rest, number=self._sender.number + 1)

    async def _keep_what_came(self) -> None:
        if not await self._sender.settled():
            return
        if self._has_all:
            # a tail up to the end would say that the upload is whole, and there is no object yet: the last
            # byte is asked for once more, and the request that brings it ends the upload
            del self._receiver.rest[-1:]
        try:
            await run(self._save_remainder)
        except Unavailable as error:
            _log.warning("tail_not_kept", why=error.message)

    def _begin(self) -> AudioUpload:
        return self._arrivals.continued(self._job)

    def _save_remainder(self) -> None:
        self._arrivals.save_remainder(
            self._before, self._receiver.rest, after_parts=self._sender.number, holder=self._holder
        )
