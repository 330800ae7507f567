"""The bytes of one file → storage, through bounded buffers; nothing stays behind on any failure."""

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio

from api.config import JobLimits
from api.http.slow_clients import MinRateTimeout
from api.uploads.buffer_pool import FIRST_BYTES, BufferPool, Reservation
from api.uploads.part_uploader import PartSender, run
from shared.errors import BadRequest, TooLarge, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore

_log = get_logger(__name__)

COUNTED_BY_US = 1 << 62
"""For `max_body_size`: Starlette's own limit would answer in plain text, whatever we had to say."""

_LONGEST_WAIT_SECONDS = 300.0
"""Of an upload that is under way already: it gets what others give back before any new one does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What arrived."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the bytes go."""

    key: str
    media_type: str
    audio: AudioStore


async def _keep(_: Received) -> bool:
    return True


class Receiver:
    """One upload's share of the budget, from before its first byte. Use it as a context."""

    def __init__(self, *, budget: BufferPool, pace: MinRateTimeout, terms: JobLimits) -> None:
        self._budget = budget
        self._pace = pace
        self._terms = terms
        self._hold = budget.hold(hurry=pace.hurry)
        self.size_bytes = 0
        """How much has arrived."""
        self.rest = bytearray()

    async def __aenter__(self) -> "Receiver":
        """Raises Overloaded where no memory becomes free in time."""
        await self._hold.grow(FIRST_BYTES, wait_seconds=self._terms.upload_wait_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.rest = bytearray()  # a request lives on for a while: its job is rung for, its answer sent
        self._hold.release()

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        target: Target,
        check: Callable[[Received], Awaitable[bool]] = _keep,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Received:
        """Store chunks as one object, or nothing where *check* says that it needs not be kept.

        What *check* raises is raised before the object is visible.

        Raises:
            BadRequest: there was no byte.
            TooLarge: there were more than allowed.
            Unavailable: storage is away.
        """
        audio, key = target.audio, target.key
        sender = PartSender(
            partial(audio.start_upload, key, media_type=target.media_type),
            parts_in_flight=self._terms.upload_parts_in_flight,
        )
        put = False
        try:
            async for part, hold in self.full_parts(self.counted(chunks, progress)):
                await sender.send(part, hold)
                del part
            if self.size_bytes == 0:
                raise BadRequest("The upload is empty; send the bytes of an audio file.", code="empty_upload")
            self._hold.send()
            await sender.hash(self.rest)
            received = Received(size_bytes=self.size_bytes, sha256=sender.digest.hexdigest())
            if not await check(received):
                await _abort(sender, None)
                return received
            if sender.upload is None:
                put = True
                await run(audio.put, key, self.rest, media_type=target.media_type)
            else:
                await run(sender.upload.write, self.rest, number=sender.number + 1)
                await sender.landed()
                await run(sender.upload.finish)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _abort(sender, partial(audio.delete, key) if put else None)
            raise
        return received

    async def counted(
        self, chunks: AsyncIterator[bytes], progress: Callable[[int], None]
    ) -> AsyncIterator[bytes]:
        """The same chunks, up to the most that is allowed. Raises TooLarge."""
        async for chunk in chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > self._terms.max_upload_bytes:
                raise too_large(self._terms.max_upload_bytes)
            yield chunk
            progress(self.size_bytes)

    async def seed(self, size_bytes: int, fill: Callable[[bytearray], object]) -> None:
        """Let *fill* write the bytes, less than a part, that stand before the first chunk."""
        await self._make_room(size_bytes)
        self.rest = bytearray(size_bytes)
        await run(fill, self.rest)

    async def full_parts(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytearray, Reservation]]:
        """Full parts, each once a byte beyond it has come; what is left stays in `rest`.

        Whoever takes a part takes over its hold.
        """
        async for chunk in chunks:
            view = memoryview(chunk)
            while view:
                if len(self.rest) >= self._budget.part_bytes:
                    part, hold = self.rest, self._hold
                    self.rest, self._hold = bytearray(), self._budget.hold(hurry=self._pace.hurry)
                    yield part, hold
                    del part
                fits = view[: self._budget.part_bytes - len(self.rest)]
                await self._make_room(len(self.rest) + len(fits))
                self.rest += fits
                view = view[len(fits) :]

    async def digest(self, chunks: AsyncIterator[bytes]) -> Received:
        """What *would* be stored. Raises TooLarge."""
        digest = hashlib.sha256()
        async for chunk in self.counted(chunks, lambda _: None):
            await run(digest.update, chunk)
        return Received(size_bytes=self.size_bytes, sha256=digest.hexdigest())

    async def _make_room(self, size_bytes: int) -> None:
        """Doubling, so that who has sent little holds little."""
        wanted = max(FIRST_BYTES, self._hold.size_bytes)
        while wanted < size_bytes:
            wanted *= 2
        wanted = min(wanted, self._budget.part_bytes)
        if wanted > self._hold.size_bytes:
            await self._hold.grow(wanted, wait_seconds=_LONGEST_WAIT_SECONDS)


def too_large(max_bytes: int) -> TooLarge:
    """The same sentence for a declared and a counted size."""
    return TooLarge(
        f"The file is larger than {max_bytes:,} bytes, the most that is taken here.", limit_bytes=max_bytes
    )


def declared_sha256(content_digest: str | None) -> str | None:
    """The SHA-256 that a Content-Digest (RFC 9530) promises, in hexadecimal. Raises BadRequest."""
    for member in (content_digest or "").split(","):
        name, _, value = member.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            digest = base64.b64decode(value.strip().removeprefix(":").removesuffix(":"), validate=True)
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise BadRequest(
                "Content-Digest is malformed; send sha-256=:<base64 of 32 bytes>:.", code="bad_digest"
            )
        return digest.hex()
    return None


CONTENT_DIGEST = {
    "name": "Content-Digest",
    "in": "header",
    "schema": {"type": "string"},
    "description": "SHA-256 of the body (RFC 9530), checked: `sha-256=:<base64>:`.",
}


async def _abort(sender: PartSender, delete: Callable[[], None] | None) -> None:
    """Only when no part is under way any more: one that came later would stay for ever."""
    await sender.settled()
    undo = sender.upload.abort if sender.upload else delete
    try:
        if undo is not None:
            await run(undo)
    except Unavailable as error:
        _log.warning("upload_not_aborted", why=error.message)
