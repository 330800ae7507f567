"""What storage holds of a tus upload. Storage is asked each time; nothing else knows.

Full parts are parts of an S3 multipart upload. What is too short for a part is an object of its own, the
remainder. Blocking.
"""

import contextlib
import os
from dataclasses import dataclass

from shared.domain.audio.formats import SNIFF_BYTES
from shared.domain.job import Job
from shared.errors import AudioMissing, Conflict, NotFound
from shared.ports.audio import AudioStore, PartStore
from shared.ports.jobs import JobStore
from shared.ports.uploads import Remainder, TusUpload, TusUploadStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """How much of one upload is stored."""

    job: Job
    record: TusUpload
    parts: int
    remainder: Remainder | None
    offset: int

    @classmethod
    def complete(cls, job: Job) -> "StoredUpload":
        """Return the state of an upload that has become a job."""
        record = TusUpload(id=job.id, metadata="", lock_owner="")
        return cls(job=job, record=record, parts=0, remainder=None, offset=job.input.size_bytes or 0)

    @property
    def length(self) -> int:
        """The size of the whole file, as declared."""
        return self.job.input.size_bytes or 0


@dataclass(frozen=True, slots=True)
class StoredParts:
    """Writes parts of a started object, which later requests may continue."""

    store: PartStore
    key: str
    multipart: str

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        """Send one part."""
        self.store.write(self.key, part, multipart=self.multipart, number=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class TusStorage:
    """Reads and changes what is stored of tus uploads."""

    jobs: JobStore
    audio: AudioStore
    parts: PartStore
    uploads: TusUploadStore

    def look_up(self, job: Job, record: TusUpload) -> StoredUpload:
        """Return what is stored without a gap."""
        sizes: tuple[int, ...] = ()
        if job.multipart is not None:
            try:
                sizes = self.parts.part_sizes(job.id, multipart=job.multipart)
            except AudioMissing:
                # joined by a process that died before it could say so
                sizes = (job.input.size_bytes or 0,)
            else:
                sizes = sizes[: record.verified_parts]
        remainder = record.remainder
        if remainder is not None and remainder.after_parts != len(sizes):
            remainder = None  # its bytes are in a part now
        offset = sum(sizes) + (remainder.size_bytes if remainder else 0)
        return StoredUpload(job=job, record=record, parts=len(sizes), remainder=remainder, offset=offset)

    def start_or_resume(self, job: Job) -> StoredParts:
        """Start the object, or resume it. Call it once for each request.

        Of two requests that start it at once, the slower one resumes the other's: both have the same bytes.
        """
        multipart = job.multipart
        if multipart is None:
            started = self.parts.start(job.id, media_type=job.input.media_type or "")
            job = self.jobs.change(job.id, lambda job: job if job.multipart else job.set_multipart(started))
            multipart = job.multipart or started
            if multipart != started:
                self.parts.abort(job.id, multipart=started)
        return StoredParts(self.parts, job.id, multipart)

    def read_remainder(self, remainder: Remainder, into: bytearray) -> None:
        """Fill a buffer of its size."""
        with self.audio.open(remainder.key) as file:
            file.readinto(into)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO

    def distrust_later_parts(self, upload: StoredUpload, *, lock_owner: str) -> None:
        """Let only the parts count that are stored now, until they are saved. Raises Conflict."""
        saved = self.uploads.save_progress(
            upload.job.id,
            lock_owner=lock_owner,
            remainder=upload.record.remainder,
            verified_parts=upload.parts,
        )
        if not saved:
            raise _taken_over()

    def save(
        self,
        upload: StoredUpload,
        rest: bytes | bytearray,
        *,
        after_parts: int,
        lock_owner: str,
        verified_parts: int | None,
    ) -> None:
        """Write a new remainder before the old one is deleted. Raises Conflict if the lock is lost."""
        new = None
        if rest:
            key = f"{upload.job.id}.{lock_owner}"
            new = Remainder(key=key, after_parts=after_parts, size_bytes=len(rest))
            self.audio.put(key, rest, media_type="application/octet-stream")
        saved = self.uploads.save_progress(
            upload.job.id, lock_owner=lock_owner, remainder=new, verified_parts=verified_parts
        )
        superseded = upload.record.remainder if saved else new
        if superseded is not None:
            self.audio.delete(superseded.key)
        if not saved:
            raise _taken_over()

    def join(self, job: Job) -> None:
        """Make one object of the parts, if there are parts."""
        if job.multipart is not None:
            self.parts.complete(job.id, multipart=job.multipart, size_bytes=job.input.size_bytes or 0)

    def read_head(self, job: Job) -> tuple[int, bytes]:
        """Return the size and the first bytes of a whole object. Raises AudioMissing."""
        with self.audio.open(job.id) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            return size, file.read(SNIFF_BYTES)

    def forget(self, job_id: str) -> None:
        """Remove what is next to the object: the record and the remainder."""
        with contextlib.suppress(NotFound):
            remainder = self.uploads.get(job_id).remainder
            if remainder is not None:
                self.audio.delete(remainder.key)
        self.uploads.remove(job_id)

    def remove(self, job: Job) -> None:
        """Remove everything. The record goes first: what storage holds without one is an orphan."""
        self.jobs.remove(job.id)
        if job.multipart is not None:
            self.parts.abort(job.id, multipart=job.multipart)
        self.audio.delete(job.id)
        self.forget(job.id)


def _taken_over() -> Conflict:
    return Conflict(
        "Another request has taken over this upload. Send HEAD for its offset.", code="taken_over"
    )
