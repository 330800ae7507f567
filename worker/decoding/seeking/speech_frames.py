"""Finds places in AMR and raw GSM: frames of 20 ms without a mark by which one could be found.

AMR has a size for each bit rate, and small frames for silence. If all frames that are looked at have one
size, a place is computed. Frames near the beginning are counted.

Source: RFC 4867, clause 5.3, and 3GPP TS 26.101 and 26.201 for the sizes.
"""

from collections.abc import Iterator
from functools import cached_property

from shared.domain.audio.formats import SNIFF_BYTES
from shared.domain.audio.frames import has_gsm_frames
from worker.decoding.seeking.mp4_boxes import ReadRange
from worker.decoding.seeking.place import Place

FRAME_SECONDS = 0.02
_AMR, _AMR_WB = b"#!AMR\n", b"#!AMR-WB\n"
_NARROW = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
_WIDE = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
_GSM_BYTES, GSM_SIGNATURE = 33, 0xD
_SIZES = {
    _AMR: {mode << 3 | quality: size for mode, size in enumerate(_NARROW) for quality in (0, 4)},
    _AMR_WB: {mode << 3 | quality: size for mode, size in enumerate(_WIDE) for quality in (0, 4)},
    b"": {GSM_SIGNATURE << 4 | low: _GSM_BYTES for low in range(16)},
}
"""For each beginning of a file: the bytes that frames begin with, and the size of such a frame."""
_COUNTED_BYTES = 1 << 20
_PROBES = 4
_PROBE_BYTES = 3 << 16
"""Less than what the sandbox reads at once."""
_PREROLL_SECONDS = 0.5


def can_begin_speech_frames(head: bytes) -> bool:
    """Whether the first 8 bytes of a file can be those of AMR or raw GSM."""
    return head.startswith((_AMR, _AMR_WB[:8])) or head[:1] in [bytes([first]) for first in _SIZES[b""]]


class SpeechFrames:
    """The frames of one file. Reads only as much as a question needs."""

    def __init__(self, read: ReadRange, *, size: int) -> None:
        """*size* is the file's.

        Raises:
            ValueError: the file is neither AMR nor raw GSM.
        """
        head = read(0, SNIFF_BYTES)
        is_gsm = has_gsm_frames(head)
        self._head = next((each for each in (_AMR, _AMR_WB) if head.startswith(each)), b"")
        if not self._head and not is_gsm:
            raise ValueError("no speech frames")
        self._read, self._end = read, size
        self._sizes = _SIZES[self._head]
        self._first = len(self._head)
        self._first_size = next(iter(self._frames(head[self._first :])), 0)
        if self._first_size == 0:
            raise ValueError("no frame")

    @property
    def is_duration_exact(self) -> bool:
        """Whether all frames are counted."""
        return self._end - self._first <= _COUNTED_BYTES

    @cached_property
    def duration_seconds(self) -> float:
        """Of all frames.

        Raises:
            ValueError: they have several sizes, and are too many to count.
        """
        if self.is_duration_exact:
            return len(self._counted) * FRAME_SECONDS
        return (self._end - self._first) // self._constant_size * FRAME_SECONDS

    def place_before(self, seconds: float) -> Place | None:
        """Return a place shortly before *seconds*, None if the recording ends before.

        Raises:
            ValueError: the frames have several sizes, and are too many to count.
        """
        number = max(0, int((seconds - _PREROLL_SECONDS) / FRAME_SECONDS))
        if self.is_duration_exact or number * self._first_size <= _COUNTED_BYTES // 2:
            if self.is_duration_exact and seconds >= self.duration_seconds:
                return None
            if number < len(self._counted):
                return self._place(self._first + sum(self._counted[:number]), number)
        if seconds >= self.duration_seconds:
            return None
        return self._place(self._first + number * self._constant_size, number)

    def _place(self, offset: int, number: int) -> Place:
        return Place(offset=offset, seconds=number * FRAME_SECONDS, head=self._head)

    @cached_property
    def _counted(self) -> list[int]:
        """The sizes of the frames in the first MiB."""
        return list(self._frames(self._read(self._first, _COUNTED_BYTES)))

    @cached_property
    def _constant_size(self) -> int:
        """The size of all frames. Raises ValueError if one of another size is found."""
        size = self._first_size
        frames = (self._end - self._first) // size
        for number in range(_PROBES + 1):
            start = max(0, frames * number // _PROBES - (_PROBE_BYTES // size if number else 0))
            data = self._read(self._first + start * size, min(frames - start, _PROBE_BYTES // size) * size)
            if {self._sizes.get(byte) for byte in data[::size]} != {size}:
                raise ValueError("frames of several sizes")
        return size

    def _frames(self, data: bytes) -> Iterator[int]:
        """Yield the sizes of the frames of which *data* has all, up to what is none."""
        at = 0
        while at < len(data) and (size := self._sizes.get(data[at])) is not None and at + size <= len(data):
            yield size
            at += size
