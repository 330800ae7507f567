"""What has arrived of an upload that may go on: storage is asked for it, and nobody else knows.

Full parts are parts of an S3 upload; what is too short for one is an object of its own, the tail. Blocking.
"""

import contextlib
import os
from dataclasses import dataclass

from shared.domain.audio_format import SNIFF_BYTES
from shared.domain.job import Job
from shared.errors import AudioMissing, Conflict, NotFound
from shared.ports.audio import AudioStore, AudioUpload, PartStore
from shared.ports.jobs import JobStore
from shared.ports.uploads import Remainder, TusUpload, TusUploadStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """How far one upload is."""

    job: Job
    resumable: TusUpload
    parts: int
    tail: Remainder | None
    offset: int

    @classmethod
    def whole(cls, job: Job) -> "StoredUpload":
        """One that has become a job: all of it, and nothing beside it any more."""
        forgotten = TusUpload(id=job.id, metadata="", lock_owner="")
        return cls(job=job, resumable=forgotten, parts=0, tail=None, offset=job.input.size_bytes or 0)

    @property
    def length(self) -> int:
        """Bytes in all, as they were declared."""
        return self.job.input.size_bytes or 0


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a started object, as an AudioUpload that is never aborted: it is to go on later."""

    store: PartStore
    key: str
    multipart: str

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        self.store.write(self.key, part, multipart=self.multipart, number=number)

    def finish(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class TusStorage:
    """Of all uploads that may go on."""

    jobs: JobStore
    audio: AudioStore
    parts: PartStore
    store: TusUploadStore

    def of(self, job: Job, resumable: TusUpload) -> StoredUpload:
        """Everything without a gap."""
        sizes: tuple[int, ...] = ()
        if job.multipart is not None:
            try:
                sizes = self.parts.part_sizes(job.id, multipart=job.multipart)
            except AudioMissing:
                # joined by a process that died before it could say so
                sizes = (job.input.size_bytes or 0,)
        tail = (
            resumable.remainder
            if resumable.remainder and resumable.remainder.after_parts == len(sizes)
            else None
        )
        offset = sum(sizes) + (tail.size_bytes if tail else 0)
        return StoredUpload(job=job, resumable=resumable, parts=len(sizes), tail=tail, offset=offset)

    def continued(self, job: Job) -> AudioUpload:
        """Start the object, or go on with it; to be asked once for each request.

        Of two requests that start it at once, the slower goes on with the other's: both have the same bytes.
        """
        multipart = job.multipart
        if multipart is None:
            started = self.parts.start(job.id, media_type=job.input.media_type or "")
            job = self.jobs.change(job.id, lambda job: job if job.multipart else job.set_multipart(started))
            multipart = job.multipart or started
            if multipart != started:
                self.parts.abort(job.id, multipart=started)
        return _Parts(self.parts, job.id, multipart)

    def read_remainder(self, tail: Remainder, into: bytearray) -> None:
        """Fill a buffer of its size."""
        with self.audio.open(tail.key) as file:
            file.readinto(into)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO

    def save_remainder(
        self, before: StoredUpload, rest: bytes | bytearray, *, after_parts: int, holder: str
    ) -> None:
        """A new object before the old one goes; if somebody else has the upload, ours is nobody's.

        Raises Conflict if so.
        """
        new = None
        if rest:
            key = f"{before.job.id}.{holder}"
            new = Remainder(key=key, after_parts=after_parts, size_bytes=len(rest))
            self.audio.put(key, rest, media_type="application/octet-stream")
        kept = self.store.save_remainder(before.job.id, lock_owner=holder, remainder=new)
        superseded = before.resumable.remainder if kept else new
        if superseded is not None:
            self.audio.delete(superseded.key)
        if not kept:
            raise Conflict(
                "Another request has taken this upload over; ask how far it is.", code="taken_over"
            )

    def join(self, job: Job) -> None:
        """Make one object of the parts, if there are parts."""
        if job.multipart is not None:
            self.parts.complete(job.id, multipart=job.multipart, size_bytes=job.input.size_bytes or 0)

    def look(self, job: Job) -> tuple[int, bytes]:
        """The size and the first bytes of a whole object. Raises AudioMissing."""
        with self.audio.open(job.id) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            return size, file.read(SNIFF_BYTES)

    def forget(self, job_id: str) -> None:
        """What is beside the object: it is whole, or gone."""
        with contextlib.suppress(NotFound):
            tail = self.store.get(job_id).remainder
            if tail is not None:
                self.audio.delete(tail.key)
        self.store.remove(job_id)

    def remove(self, job: Job) -> None:
        """The record first: what storage holds without one is an orphan, should we die here."""
        self.jobs.remove(job.id)
        if job.multipart is not None:
            self.parts.abort(job.id, multipart=job.multipart)
        self.audio.delete(job.id)
        self.forget(job.id)
