"""A file object as a decoder may see it: bytes and positions, no name, and an end to a fruitless search."""

import os
from typing import TYPE_CHECKING, BinaryIO

from shared.seekable_file import SeekableFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


# In search of audio, or on the way to where the window starts: 80 minutes of MP3 at 220 kbit/s.
MAX_BARREN_BYTES = 128 << 20
_UNREAD_BYTES = 1 << 16


class Source(SeekableFile):
    """The bytes of a file object and nothing else of it: no name whose ending a decoder could believe.

    Remembers what the file object raised, since a C library that reads through us loses it.
    """

    def __init__(self, audio: BinaryIO) -> None:
        super().__init__(audio.seek(0, os.SEEK_END))
        self._audio = audio
        self._start = 0
        self._handed_out = 0
        self._barren_bytes = 0
        self.patience_bytes = MAX_BARREN_BYTES
        self._failure: BaseException | None = None

    @property
    def has_more(self) -> bool:
        """True if a good part of the file has not been read yet."""
        return self.size_bytes - self._handed_out > _UNREAD_BYTES

    @property
    def gave_up(self) -> bool:
        """True once too much was read without any audio coming out; then the file ends here."""
        return self._barren_bytes > self.patience_bytes

    def audio_came_out(self) -> None:
        """Take note that what was read so far was worth it."""
        self._barren_bytes = 0

    def begin_at(self, offset: int) -> None:
        """From here on be the file without its first *offset* bytes, if it has more."""
        if offset < self.size_bytes:
            self._start, self.size_bytes = offset, self.size_bytes - offset
        self._at = 0

    def raise_failure(self) -> None:
        """Raise what the file object raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill *buffer* as far as the file goes; nothing more after a failure or a fruitless search."""
        view = memoryview(buffer).cast("B")
        if self.gave_up or self._failure is not None:
            return 0  # the end of the file, to a decoder
        try:
            self._audio.seek(self._start + self._at)
            data = self._audio.read(len(view))
        except BaseException as error:
            self._failure = error
            return 0
        view[: len(data)] = data
        self._at += len(data)
        self._handed_out += len(data)
        self._barren_bytes += len(data)
        return len(data)
