"""The file object that decoders read from: it hides the name, limits reads, and keeps read errors."""

import os
from typing import BinaryIO

from shared.seekable_file import SeekableFile

MAX_BYTES_WITHOUT_AUDIO = 128 << 20
"""Read while looking for audio or for the start of the window: 80 minutes of MP3 at 220 kbit/s."""
_IGNORED_REST_BYTES = 1 << 16
_MIN_LEADING_ZEROS = 512
_MAX_LEADING_ZEROS = 64 << 20
_ZERO_BLOCK_BYTES = 1 << 16


class ByteSource(SeekableFile):
    """The bytes of a file object without its name, because decoders trust file extensions.

    Keeps what the file object raised, because C libraries that read through Python lose exceptions.
    """

    def __init__(self, audio: BinaryIO) -> None:
        super().__init__(audio.seek(0, os.SEEK_END))
        self._audio = audio
        self._start = 0
        self._bytes_read = 0
        self._bytes_without_audio = 0
        self.max_bytes_without_audio = MAX_BYTES_WITHOUT_AUDIO
        self._read_error: BaseException | None = None

    @property
    def has_unread_bytes(self) -> bool:
        """True if more than 64 KiB of the file was never read."""
        return self.size_bytes - self._bytes_read > _IGNORED_REST_BYTES

    @property
    def read_limit_reached(self) -> bool:
        """True if too much was read without a decoded sample. From then on the file appears to end."""
        return self._bytes_without_audio > self.max_bytes_without_audio

    def audio_decoded(self) -> None:
        """Reset the count of bytes read without audio."""
        self._bytes_without_audio = 0

    def skip_first_bytes(self, count: int) -> None:
        """Hide the first *count* bytes and rewind. Does nothing if the file is not longer than that."""
        if count < self.size_bytes:
            self._start, self.size_bytes = self._start + count, self.size_bytes - count
        self._position = 0

    def skip_leading_zeros(self) -> None:
        """Hide the zeros that a file begins with, as after a wrongly resumed download, and rewind.

        Leaves fewer than 512 where they are: many headers begin with some.
        """
        count, block_bytes = 0, _MIN_LEADING_ZEROS
        while count < _MAX_LEADING_ZEROS:
            self.seek(count)
            block = self.read(block_bytes) or b""
            sound = block.lstrip(b"\0")
            count += len(block) - len(sound)
            if sound or not block:
                break
            block_bytes = _ZERO_BLOCK_BYTES
        self.seek(0)
        if count >= _MIN_LEADING_ZEROS:
            self.skip_first_bytes(count)

    def raise_read_error(self) -> None:
        """Raise what the file object raised, if anything."""
        if self._read_error is not None:
            raise self._read_error

    def _read_into(self, view: memoryview, offset: int) -> int:
        if self.read_limit_reached or self._read_error is not None:
            return 0  # decoders see the end of the file
        try:
            self._audio.seek(self._start + offset)
            data = self._audio.read(len(view))
        except BaseException as error:
            self._read_error = error
            return 0
        view[: len(data)] = data
        self._bytes_read += len(data)
        self._bytes_without_audio += len(data)
        return len(data)
