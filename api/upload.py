"""The bytes of one file → storage, through bounded buffers; nothing stays behind on any failure."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread

from api.budget import FIRST_BYTES, BufferBudget, Hold
from api.pace import Pace
from api.terms import JobTerms
from shared.errors import BadRequest, TooLarge, Unavailable
from shared.logs import get_logger
from shared.ports import AudioStore, AudioUpload

_log = get_logger(__name__)

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


class Receiver:
    """One upload's share of the budget, from before its first byte. Use it as a context."""

    def __init__(self, *, budget: BufferBudget, pace: Pace, terms: JobTerms) -> None:
        self._budget = budget
        self._pace = pace
        self._terms = terms
        self._hold = budget.hold(hurry=pace.hurry)

    async def __aenter__(self) -> "Receiver":
        """Raises Overloaded where no memory becomes free in time."""
        await self._hold.grow(FIRST_BYTES, wait_seconds=self._terms.upload_wait_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hold.release()

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        target: Target,
        check: Callable[[Received], None] = lambda _: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Received:
        """Store chunks as one object. What *check* raises is raised before the object is visible.

        Raises:
            BadRequest: there was no byte.
            TooLarge: there were more than allowed.
            Unavailable: storage is away.
        """
        sender = _Sender(target, parts_in_flight=self._terms.upload_parts_in_flight)
        part = bytearray()
        try:
            async for chunk in chunks:
                sender.size_bytes += len(chunk)
                if sender.size_bytes > self._terms.max_upload_bytes:
                    raise too_large(self._terms.max_upload_bytes)
                rest = memoryview(chunk)
                while rest:
                    if len(part) == self._budget.part_bytes:
                        await sender.send(part, self._hold)
                        part, self._hold = bytearray(), self._budget.hold(hurry=self._pace.hurry)
                    fits = rest[: self._budget.part_bytes - len(part)]
                    await self._make_room(len(part) + len(fits))
                    part += fits
                    rest = rest[len(fits) :]
                progress(sender.size_bytes)
            if sender.size_bytes == 0:
                raise BadRequest("The upload is empty; send the bytes of an audio file.", code="empty_upload")
            self._hold.send()
            received = await sender.digested(part)
            check(received)
            await sender.finish(part)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await sender.abort()
            raise
        return received

    async def digest(self, chunks: AsyncIterator[bytes]) -> Received:
        """What *would* be stored. Raises TooLarge."""
        digest = hashlib.sha256()
        size_bytes = 0
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > self._terms.max_upload_bytes:
                raise too_large(self._terms.max_upload_bytes)
            await to_thread.run_sync(digest.update, chunk)
        return Received(size_bytes=size_bytes, sha256=digest.hexdigest())

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


async def _run(work: Callable[..., None], *args: object, **named: object) -> None:
    await to_thread.run_sync(partial(work, *args, **named))


CONTENT_DIGEST = {
    "name": "Content-Digest",
    "in": "header",
    "schema": {"type": "string"},
    "description": "SHA-256 of the body (RFC 9530), checked: `sha-256=:<base64>:`.",
}


class _Sender:
    """A few parts under way in threads; small files go as one object, without parts."""

    def __init__(self, target: Target, *, parts_in_flight: int) -> None:
        self.size_bytes = 0
        self._target = target
        self._digest = hashlib.sha256()
        self._most = parts_in_flight
        self._upload: AudioUpload | None = None
        self._number = 0
        self._put = False
        self._under_way: set[asyncio.Task[None]] = set()

    async def send(self, part: bytearray, hold: Hold) -> None:
        """Hash a full part and start it on its way; its bytes come back when it has landed."""
        hold.send()
        try:
            await self._hash(part)
            await self._landed(self._most - 1)
            if self._upload is None:
                target = self._target
                self._upload = target.audio.begin(target.key, media_type=target.media_type)
        except BaseException:
            hold.release()
            raise
        self._number += 1
        self._under_way.add(asyncio.create_task(self._write(self._upload, part, hold, self._number)))

    async def digested(self, last: bytearray) -> Received:
        """What has arrived, all in all."""
        await self._hash(last)
        return Received(size_bytes=self.size_bytes, sha256=self._digest.hexdigest())

    async def finish(self, last: bytearray) -> None:
        target = self._target
        if self._upload is None:
            self._put = True
            await _run(target.audio.put, target.key, last, media_type=target.media_type)
            return
        self._number += 1
        await _run(self._upload.write, last, number=self._number)
        await self._landed(0)
        await _run(self._upload.finish)

    async def abort(self) -> None:
        """Only when no part is under way any more: one that came later would stay for ever."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        try:
            if self._upload is not None:
                await _run(self._upload.abort)
            elif self._put:
                await _run(self._target.audio.delete, self._target.key)
        except Unavailable as error:
            _log.warning("upload_not_aborted", why=error.message)

    async def _landed(self, most_left: int) -> None:
        """Wait until no more than so many are under way. Raises what one of them raised."""
        while True:
            done = {task for task in self._under_way if task.done()}
            self._under_way -= done
            for task in done:
                task.result()
            if len(self._under_way) <= most_left:
                return
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _write(self, upload: AudioUpload, part: bytearray, hold: Hold, number: int) -> None:
        try:
            await _run(upload.write, part, number=number)
        finally:
            hold.release()

    async def _hash(self, part: bytearray) -> None:
        await to_thread.run_sync(self._digest.update, part)
