"""The file object that decoders read from: it hides the name, limits reads, and keeps read errors."""

import os
from typing import BinaryIO

from shared.seekable_file import SeekableFile

MAX_BYTES_WITHOUT_AUDIO = 128 << 20
"""Read while looking for audio or for the start of the window: 80 minutes of MP3 at 220 kbit/s."""
_IGNORED_REST_BYTES = 1 << 16
_HEAD_BYTES = 1 << 16
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
        self._instead = b""
        self._replaced: list[tuple[int, bytes]] = []
        self._head = b""
        """The first bytes, which decoders and checks read again and again."""
        self._kept = b""
        self._kept_start = 0

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

    def skip_first_bytes(self, count: int, *, instead: bytes = b"") -> None:
        """Hide the first *count* bytes, show *instead*, and rewind. Does nothing if the file is shorter."""
        if (count or instead) and count < self.size_bytes:
            self._start += count - len(instead)
            self.size_bytes -= count - len(instead)
            self._instead = instead
            self._head = b""
        self._position = 0

    def replace(self, offset: int, content: bytes) -> None:
        """Show *content* instead of the bytes at *offset*."""
        self._replaced.append((self._start + offset, content))

    def read_range(self, offset: int, size: int, *, keep: bool = False) -> bytes:
        """Return the bytes at *offset*. With *keep*, reading any of them again costs nothing."""
        start = self._start + offset
        has_end = self._kept != b"" and start < self._kept_start < start + size
        data = bytearray(self._kept_start - start if has_end else size)
        del data[self._read_into(memoryview(data), offset) :]
        if has_end:
            data += self._kept
        if keep:
            self._kept, self._kept_start = bytes(data), start
        return bytes(data[:size])

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
        count = self._read_stored(view, offset)
        for start, content in self._replaced:
            first = max(start - self._start, offset)
            last = min(start - self._start + len(content), offset + count)
            if first < last:
                shift = start - self._start
                view[first - offset : last - offset] = content[first - shift : last - shift]
        return count

    def _read_stored(self, view: memoryview, offset: int) -> int:
        if self.read_limit_reached or self._read_error is not None:
            return 0  # decoders see the end of the file
        if offset < len(self._instead):
            data = self._instead[offset : offset + len(view)]
            view[: len(data)] = data
            rest = view[len(data) :]
            return len(data) + (self._read_stored(rest, len(self._instead)) if rest else 0)
        if offset + len(view) <= len(self._head):
            view[:] = self._head[offset : offset + len(view)]
            return len(view)
        inside = self._start + offset - self._kept_start
        if 0 <= inside < len(self._kept):
            data = self._kept[inside : inside + len(view)]
            view[: len(data)] = data
            return len(data)
        try:
            self._audio.seek(self._start + offset)
            is_head = offset == 0 and not self._head
            data = self._audio.read(max(len(view), _HEAD_BYTES) if is_head else len(view))
        except BaseException as error:
            self._read_error = error
            return 0
        if is_head:
            self._head, data = data[:_HEAD_BYTES], data[: len(view)]
        view[: len(data)] = data
        self._bytes_read += len(data)
        self._bytes_without_audio += len(data)
        return len(data)
