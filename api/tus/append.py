"""Appends the bytes of one request to a tus upload."""

from collections.abc import AsyncIterator
from functools import partial

import anyio

from api.tus.checksum import BodyChecks
from api.tus.storage import StoredParts, StoredUpload, TusStorage
from api.uploads.receiving.part_uploader import PartUploader, run
from api.uploads.receiving.receiver import OnChunk, UploadReceiver
from shared.errors import Unavailable, UnsupportedMedia
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Append:
    """Writes full parts as they come, and saves the rest as the remainder."""

    def __init__(
        self,
        upload: StoredUpload,
        receiver: UploadReceiver,
        storage: TusStorage,
        *,
        lock_owner: str,
        parts_in_flight: int,
        checks: BodyChecks | None = None,
    ) -> None:
        """*lock_owner*: this request. Another one may take the upload over from it."""
        self._upload = upload
        self._job = upload.job
        self._receiver = receiver
        self._storage = storage
        self._lock_owner = lock_owner
        self._checks = checks
        self._bytes_in_parts = upload.offset - (upload.remainder.size_bytes if upload.remainder else 0)
        self._uploader: PartUploader[StoredParts] = PartUploader(
            self._begin, parts_in_flight=parts_in_flight, parts_stored=upload.parts
        )

    async def write(self, chunks: AsyncIterator[bytes], on_chunk: OnChunk) -> None:
        """Write all chunks. After a failure, keeps what had arrived without a gap.

        Raises:
            Conflict: another request has taken the upload over.
            UnsupportedMedia: the upload is not audio. Nothing is kept.
            ChecksumMismatch, BadRequest: the chunks are not as the client sent them. Nothing of them is kept.
        """
        if self._checks is not None:
            distrust = partial(self._storage.distrust_later_parts, lock_owner=self._lock_owner)
            await run(distrust, self._upload)
        if remainder := self._upload.remainder:
            read = partial(self._storage.read_remainder, remainder)
            await self._receiver.prepend(remainder.size_bytes, read)
        try:
            async for part, reservation in self._receiver.parts(chunks, on_chunk):
                self._bytes_in_parts += len(part)
                await self._uploader.send(part, reservation)
                del part
            if self._checks is not None:
                self._checks.verify()
            if self._is_complete:
                await self._write_last_part()
            else:
                await self._uploader.wait_all()
                await run(self._save_remainder)
        except UnsupportedMedia:
            raise
        except BaseException:
            # a later request must not meet parts of this one that are still being sent
            with anyio.CancelScope(shield=True):
                await self._keep_received()
            raise

    @property
    def _is_complete(self) -> bool:
        return self._bytes_in_parts + len(self._receiver.rest) == self._upload.length

    async def _write_last_part(self) -> None:
        """Write the last part, which may be short. A small file is put whole."""
        rest = self._receiver.rest
        if self._uploader.number == 0 and self._job.multipart is None:
            media_type = self._job.input.media_type or ""
            await run(self._storage.audio.put, self._job.id, rest, media_type=media_type)
            return
        await self._uploader.wait_all()
        if rest:
            writer = self._uploader.upload
            if writer is None:
                writer = await anyio.to_thread.run_sync(self._begin)
            await run(writer.write, rest, number=self._uploader.number + 1)

    async def _keep_received(self) -> None:
        if not await self._uploader.settle() or self._checks is not None:
            return  # without its end, a body with a checksum can't be verified
        if self._is_complete:
            # A remainder up to the end would say that the upload is complete, and there is no object yet.
            # So the last byte is asked for once more, and the request that brings it completes the upload.
            del self._receiver.rest[-1:]
        try:
            await run(self._save_remainder)
        except Unavailable as error:
            _log.warning("remainder_save_failed", reason=error.message)

    def _begin(self) -> StoredParts:
        return self._storage.start_or_resume(self._job)

    def _save_remainder(self) -> None:
        distrusted = self._checks is not None or self._upload.record.verified_parts is not None
        self._storage.save(
            self._upload,
            self._receiver.rest,
            after_parts=self._uploader.number,
            lock_owner=self._lock_owner,
            verified_parts=self._uploader.number if distrusted else None,
        )
