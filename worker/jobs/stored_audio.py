"""Audio in our storage, checked against what its upload recorded: storage can send less, or other bytes."""

import hashlib

from shared.domain.job import Job
from shared.errors import AudioDamaged
from shared.ports.audio import AudioStore
from shared.seekable_file import SeekableFile

MAX_VERIFIED_BYTES = 32 << 20
"""A larger file is not read once more to find out whether storage is to blame for its failure."""
_BLOCK_BYTES = 1 << 20


class StoredAudio(SeekableFile):
    """The audio of one job. Where all of it is read in sequence, its SHA-256 is calculated on the way."""

    def __init__(self, job: Job, *, audio: AudioStore) -> None:
        """Raises AudioDamaged if the size is not that of the upload, AudioMissing, Unavailable."""
        file = audio.open(job.id)
        found, expected = getattr(file, "size_bytes", None), job.input.size_bytes
        if found is not None and expected is not None and found != expected:
            file.close()
            raise AudioDamaged(f"The audio storage has {found} bytes of {expected}.")
        super().__init__(file.seek(0, 2))
        self._file = file
        self._expected = job.input.sha256
        self._digest = hashlib.sha256()
        self._hashed_bytes = 0
        """All bytes before this offset are in the digest."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def verify(self) -> None:
        """Raise AudioDamaged if all bytes were read, and they are not those of the upload."""
        if self._expected is None or self._hashed_bytes < self.size_bytes:
            return
        if self._digest.hexdigest() != self._expected:
            raise AudioDamaged("The audio storage sent other bytes than were uploaded.")

    def _read_into(self, view: memoryview, offset: int) -> int:
        self._file.seek(offset)
        count: int = self._file.readinto(view)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO
        fresh = self._hashed_bytes - offset
        if 0 <= fresh < count:
            self._digest.update(view[fresh:count])
            self._hashed_bytes = offset + count
        return count


def verify_whole(job: Job, *, audio: AudioStore) -> None:
    """Read all bytes of a file that isn't large. Raises AudioDamaged if they are not those of the upload."""
    if job.input.sha256 is None or (job.input.size_bytes or 0) > MAX_VERIFIED_BYTES:
        return
    block = bytearray(_BLOCK_BYTES)
    with StoredAudio(job, audio=audio) as file:
        while file.readinto(block):
            pass
        file.verify()
