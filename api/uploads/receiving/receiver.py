"""Receives the bytes of one file into storage, through bounded buffers. No failure leaves anything behind."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

import anyio

from api.config import JobLimits
from api.http.limits.slow_clients import MinRateTimeout
from api.uploads.receiving.body import require_audio
from api.uploads.receiving.buffer_pool import FIRST_BYTES, BufferPool, Reservation
from api.uploads.receiving.part_uploader import PartUploader, run
from shared.domain.audio.formats import SNIFF_BYTES
from shared.errors import BadRequest, TooLarge, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore

_log = get_logger(__name__)

NO_BODY_LIMIT = 1 << 62
"""For `max_body_size`: we count the bytes ourselves, since Starlette's limit answers in plain text."""

_MAX_WAIT_SECONDS = 300.0
"""How long a started upload waits for memory. It is served before any new upload."""

OnChunk = Callable[[int], Awaitable[None]]
"""Called with the size of each chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDigest:
    """The size and SHA-256 of what arrived."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTarget:
    """Where the bytes go."""

    key: str
    media_type: str
    audio: AudioStore


class PendingUpload:
    """A file that has arrived whole. It becomes an object on `commit`, and is removed otherwise."""

    def __init__(self, target: UploadTarget, *, parts_in_flight: int) -> None:
        self.digest = UploadDigest(size_bytes=0, sha256="")
        self.committed = False
        self.last_part = bytearray()
        self.uploader = PartUploader(
            partial(target.audio.start_upload, target.key, media_type=target.media_type),
            parts_in_flight=parts_in_flight,
        )
        self._target = target
        self._put_started = False

    async def commit(self) -> None:
        """Make the object visible. Raises Unavailable."""
        upload = self.uploader.upload
        if upload is None:
            self._put_started = True
            target = self._target
            await run(target.audio.put, target.key, self.last_part, media_type=target.media_type)
        else:
            await run(upload.write, self.last_part, number=self.uploader.number + 1)
            await self.uploader.wait_all()
            await run(upload.finish)
        self.committed = True

    async def discard(self) -> None:
        """Remove what was sent, once nothing is in flight: a part that came later would stay forever."""
        await self.uploader.settle()
        upload, target = self.uploader.upload, self._target
        try:
            if upload is not None:
                await run(upload.abort)
            elif self._put_started:
                await run(target.audio.delete, target.key)
        except Unavailable as error:
            _log.warning("upload_abort_failed", reason=error.message)


class UploadReceiver:
    """One upload's use of the buffer pool, from before its first byte. Use it as a context."""

    def __init__(
        self,
        pool: BufferPool,
        timeout: MinRateTimeout,
        limits: JobLimits,
        *,
        offset: int = 0,
        limit: TooLarge | None = None,
    ) -> None:
        """*offset*: how much of the file arrived before. *limit*: raised for a byte beyond its limit."""
        self._pool = pool
        self._timeout = timeout
        self._limits = limits
        self._limit = limit or too_large(limits.max_upload_bytes)
        self._sniffed = offset > 0
        self._reservation = self._reserve()
        self.size_bytes = offset
        """How much of the file has arrived."""
        self.rest = bytearray()
        """What has arrived after the last full part."""

    async def __aenter__(self) -> Self:
        """Raises Overloaded if no memory becomes free in time."""
        await self._reservation.grow(FIRST_BYTES, wait_seconds=self._limits.upload_wait_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.rest = bytearray()  # the request goes on for a while after this
        self._reservation.release()

    @asynccontextmanager
    async def store(
        self, chunks: AsyncIterator[bytes], target: UploadTarget, on_chunk: OnChunk
    ) -> AsyncIterator[PendingUpload]:
        """Send a file to storage. Commit it inside; without that, everything is removed on leaving.

        Raises:
            BadRequest: there is not a single byte.
            TooLarge, UnsupportedMedia, Unavailable, and whatever *chunks* raise.
        """
        pending = PendingUpload(target, parts_in_flight=self._limits.upload_parts_in_flight)
        try:
            async for part, reservation in self.parts(chunks, on_chunk):
                await pending.uploader.send(part, reservation)
                del part
            self._require_content()
            self._reservation.mark_sending()
            await pending.uploader.hash(self.rest)
            pending.last_part = self.rest
            pending.digest = UploadDigest(
                size_bytes=self.size_bytes, sha256=pending.uploader.digest.hexdigest()
            )
            yield pending
        finally:
            if not pending.committed:
                with anyio.CancelScope(shield=True):
                    await pending.discard()

    async def digest(self, chunks: AsyncIterator[bytes], on_chunk: OnChunk) -> UploadDigest:
        """Read a file without storing it. Raises as `store` does."""
        digest = hashlib.sha256()
        async for part, reservation in self.parts(chunks, on_chunk):
            try:
                await run(digest.update, part)
            finally:
                reservation.release()
            del part
        self._require_content()
        await run(digest.update, self.rest)
        return UploadDigest(size_bytes=self.size_bytes, sha256=digest.hexdigest())

    async def prepend(self, size_bytes: int, fill: Callable[[bytearray], object]) -> None:
        """Let *fill* write the bytes, fewer than a part, that come before the first chunk."""
        await self._make_room(size_bytes)
        self.rest = bytearray(size_bytes)
        await run(fill, self.rest)

    async def parts(
        self, chunks: AsyncIterator[bytes], on_chunk: OnChunk
    ) -> AsyncIterator[tuple[bytearray, Reservation]]:
        """Yield full parts, each once a byte after it has come. What is left stays in `rest`.

        Who takes a part takes over its reservation.

        Raises:
            TooLarge: there are more bytes than the limit.
            UnsupportedMedia: the first bytes are not audio.
        """
        async for chunk in chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > (self._limit.limit_bytes or 0):
                raise self._limit
            view = fits = memoryview(chunk)
            while view:
                if len(self.rest) >= self._pool.part_bytes:
                    part, reservation = self.rest, self._reservation
                    self.rest, self._reservation = bytearray(), self._reserve()
                    yield part, reservation
                    del part
                fits = view[: self._pool.part_bytes - len(self.rest)]
                await self._make_room(len(self.rest) + len(fits))
                self.rest += fits
                view = view[len(fits) :]
                if not self._sniffed and len(self.rest) >= SNIFF_BYTES:
                    self._sniff()
            size_bytes = len(chunk)
            del chunk, view, fits  # an upload that waits for its client does not keep it
            await on_chunk(size_bytes)

    def _require_content(self) -> None:
        if self.size_bytes == 0:
            raise BadRequest("The upload is empty. Send the bytes of an audio file.", code="empty_upload")
        if not self._sniffed:
            self._sniff()

    def _sniff(self) -> None:
        self._sniffed = True
        require_audio(bytes(self.rest[:SNIFF_BYTES]))

    def _reserve(self) -> Reservation:
        return self._pool.reserve(on_pressure=self._timeout.hurry)

    async def _make_room(self, size_bytes: int) -> None:
        """Grow by doubling, so that a client that has sent little holds little."""
        room = max(FIRST_BYTES, self._reservation.size_bytes)
        while room < size_bytes:
            room *= 2
        room = min(room, self._pool.part_bytes)
        if room > self._reservation.size_bytes:
            await self._reservation.grow(room, wait_seconds=_MAX_WAIT_SECONDS)


def too_large(max_bytes: int) -> TooLarge:
    """Return the error for a declared or a counted size above the limit."""
    return TooLarge(
        f"The file is larger than {max_bytes:,} bytes, the limit. Send a smaller file.", limit_bytes=max_bytes
    )
