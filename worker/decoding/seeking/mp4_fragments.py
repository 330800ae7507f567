"""Hides the fragments of an MP4 file that lie before a second. FFmpeg reads the headers of all of them."""

from dataclasses import dataclass
from itertools import islice

from worker.decoding.seeking.bisection import Mark, find_mark_before
from worker.decoding.seeking.mp4_boxes import ReadRange, boxes

_BOXES_BEFORE_FRAGMENTS = 100
_BOXES_INSIDE = 200
_MAX_FRAGMENT_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 15
_MAX_INDEX_BYTES = 1 << 17
"""It has tracks, but no samples. Larger ones are those of other files."""
_PREROLL_SECONDS = 0.5
_MAX_LAST_FRAGMENT_BYTES = 16 << 20
_REST_AFTER_INDEX_BYTES = 1 << 20
_FREE_BOX_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bytes between two boxes that need not be read."""

    start: int
    end: int

    @property
    def box(self) -> bytes:
        """What to show at *start*: the header of a box that decoders skip."""
        return (1).to_bytes(4) + b"free" + (self.end - self.start).to_bytes(8)


class FragmentedMp4:
    """The fragments of one file, of which only a few are read."""

    def __init__(self, read: ReadRange, *, size: int) -> None:
        """Read the boxes before the first fragment.

        Raises:
            ValueError: the file is not an MP4 of fragments.
        """
        self._read = read
        self._size = size
        self._timescales: dict[int, int] = {}
        self._first = self._after_first = 0
        is_fragmented = False
        for name, start, end in islice(boxes(read, 0, size), _BOXES_BEFORE_FRAGMENTS):
            if name == b"moov" and end - start <= _MAX_INDEX_BYTES:
                is_fragmented = self._read_index(start, end)
            elif name == b"moof" and not self._first:
                self._first = start - 8
            elif name == b"mdat" and self._first:
                self._after_first = end
                break
            elif name in (b"moov", b"mdat") or (name == b"sidx" and self._is_complete_index(start, end)):
                break
        if not is_fragmented or not self._after_first:
            raise ValueError("no fragments")

    def gap_before(self, seconds: float) -> Gap | None:
        """Return what lies between the first fragment and the one at *seconds*, None if it is not known."""
        if len(self._timescales) != 1:
            return None
        first = self._fragment_at(self._first)
        second = self._find(self._after_first, min(self._size, self._after_first + (1 << 20)))
        if first is None or second is None:
            return None
        mark = find_mark_before(
            self._find,
            first=first,
            second=second,
            end=self._size,
            target=first.seconds + seconds - _PREROLL_SECONDS,
        )
        if mark.offset < self._after_first + _FREE_BOX_BYTES:
            return None
        return Gap(start=self._after_first, end=mark.offset)

    @property
    def duration_seconds(self) -> float | None:
        """Up to the start of the last fragment with audio, None if there are not two."""
        return self.duration_at_end(_MAX_LAST_FRAGMENT_BYTES)

    def duration_at_end(self, max_bytes: int) -> float | None:
        """The same, None also if the last fragment begins more than *max_bytes* before the end."""
        first = self._fragment_at(self._first)
        last = None
        reach, begin = _CHUNK_BYTES, self._size
        while last is None and reach < max_bytes and begin > self._first:
            reach *= 4
            start = begin = max(self._first, self._size - reach)
            while (found := self._find(start, self._size)) is not None:
                last, start = found, found.offset + 8
        if first is None or last is None or last.seconds <= first.seconds:
            return None
        return last.seconds - first.seconds

    def _is_complete_index(self, start: int, end: int) -> bool:
        """Whether a `sidx` box leads to the end of the file. FFmpeg then reads nothing else to seek."""
        content = self._read(start, 32)
        at, length = (28, 8) if content[:1] == b"\1" else (20, 4)
        first_offset = int.from_bytes(content[at - length : at])
        count = int.from_bytes(content[at + 2 : at + 4])
        entries = self._read(start + at + 4, 12 * count)
        sizes = [
            int.from_bytes(entries[place : place + 4]) & 0x7FFF_FFFF for place in range(0, len(entries), 12)
        ]
        return end + first_offset + sum(sizes) >= self._size - _REST_AFTER_INDEX_BYTES

    def _read_index(self, start: int, end: int) -> bool:
        """Note the time scales of audio tracks. Returns True if the samples are in fragments."""
        is_fragmented = False
        for name, inside, after in islice(boxes(self._read, start, end), _BOXES_INSIDE):
            if name == b"mvex":
                is_fragmented = True
            elif name == b"trak":
                self._read_track(inside, after)
        return is_fragmented

    def _read_track(self, start: int, end: int) -> None:
        number = timescale = 0
        is_audio = False
        pending = [(start, end)]
        while pending:
            for name, inside, after in islice(boxes(self._read, *pending.pop()), _BOXES_INSIDE):
                if name == b"mdia":
                    pending.append((inside, after))
                elif name == b"tkhd":
                    number = self._number(inside, 12, 20)
                elif name == b"mdhd":
                    timescale = self._number(inside, 12, 20)
                elif name == b"hdlr":
                    is_audio = self._read(inside + 8, 4) == b"soun"
        if is_audio and number and timescale:
            self._timescales[number] = timescale

    def _number(self, box: int, offset: int, offset_of_version_1: int) -> int:
        """Read 32 bits of a box that has times of 32 or of 64 bits before them."""
        content = self._read(box, offset_of_version_1 + 4)
        at = offset_of_version_1 if content[:1] == b"\1" else offset
        return int.from_bytes(content[at : at + 4])

    def _find(self, offset: int, end: int) -> Mark | None:
        """Return the first fragment with audio in a range."""
        while offset < end:
            data = self._read(offset, min(_CHUNK_BYTES, end - offset) + 8)
            at = data.find(b"moof", 4)
            while at >= 0:
                if (mark := self._fragment_at(offset + at - 4)) is not None:
                    return mark
                at = data.find(b"moof", at + 1)
            if len(data) <= 8:
                return None
            offset += len(data) - 8
        return None

    def _fragment_at(self, offset: int) -> Mark | None:
        """Return the fragment whose box begins at *offset*, None if it is none or has no audio."""
        head = self._read(offset, 16)
        length = int.from_bytes(head[:4])
        if head[4:8] != b"moof" or head[12:] != b"mfhd" or not 16 <= length <= _MAX_FRAGMENT_HEADER_BYTES:
            return None
        for name, start, end in islice(boxes(self._read, offset + 8, offset + length), _BOXES_INSIDE):
            if name == b"traf" and (seconds := self._seconds_of(start, end)) is not None:
                return Mark(offset=offset, seconds=seconds)
        return None

    def _seconds_of(self, start: int, end: int) -> float | None:
        """Return when a track's part of a fragment begins, None for other tracks."""
        timescale = None
        for name, inside, _ in islice(boxes(self._read, start, end), _BOXES_INSIDE):
            content = self._read(inside, 12)
            if name == b"tfhd":
                timescale = self._timescales.get(int.from_bytes(content[4:8]))
            elif name == b"tfdt" and timescale:
                return int.from_bytes(content[4 : 12 if content[:1] == b"\1" else 8]) / timescale
        return None
