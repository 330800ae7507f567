"""Takes the response header and the ICY metadata (SHOUTcast) out of a captured radio stream."""

import os
import re
from typing import BinaryIO, cast

from shared.seekable_file import SeekableFile

_MAX_HEADER_BYTES = 8192
ICY_STATUS_LINES = (b"ICY ", b"HTTP/1.")
"""Radio captures begin with one of these."""
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_METADATA_INTERVAL = re.compile(rb"\nicy-metaint:[ \t]*(\d{1,7})", re.IGNORECASE)
_LENGTH_UNIT = 16


def strip_icy(audio: BinaryIO) -> BinaryIO:
    """Return the sound in a radio capture, or *audio* itself if it is none."""
    audio.seek(0)
    head = audio.read(_MAX_HEADER_BYTES)
    audio.seek(0)
    if not head.startswith(ICY_STATUS_LINES):
        return audio
    end = _HEADER_END.search(head)
    if end is None:
        return audio
    interval = _METADATA_INTERVAL.search(head[: end.start() + 1])
    return cast(
        BinaryIO, _RadioCapture(audio, start=end.end(), interval=int(interval.group(1)) if interval else 0)
    )


class _RadioCapture(SeekableFile):
    """The stream behind *start*, without the metadata that follows every *interval* bytes of sound.

    A block of metadata is a byte that counts 16 bytes, and these. So the blocks before a position must be
    found first. Its size is an estimate: as if all metadata were empty.
    """

    def __init__(self, audio: BinaryIO, *, start: int, interval: int) -> None:
        size = max(0, audio.seek(0, os.SEEK_END) - start)
        super().__init__(size - size // (interval + 1) if interval else size)
        self._audio = audio
        self._interval = interval
        self._offsets = [start]
        """Where each run of *interval* bytes of sound begins."""

    def _read_into(self, view: memoryview, offset: int) -> int:
        if not self._interval:
            return self._copy(view, self._offsets[0] + offset)
        filled = 0
        while filled < len(view):
            run, inside = divmod(offset + filled, self._interval)
            if not self._find(run):
                break
            wanted = min(len(view) - filled, self._interval - inside)
            count = self._copy(view[filled : filled + wanted], self._offsets[run] + inside)
            filled += count
            if count < wanted:
                break
        return filled

    def _find(self, run: int) -> bool:
        while len(self._offsets) <= run:
            end = self._offsets[-1] + self._interval
            self._audio.seek(end)
            length = self._audio.read(1)
            if not length:
                return False
            self._offsets.append(end + 1 + _LENGTH_UNIT * length[0])
        return True

    def _copy(self, view: memoryview, offset: int) -> int:
        self._audio.seek(offset)
        data = self._audio.read(len(view))
        view[: len(data)] = data
        return len(data)
