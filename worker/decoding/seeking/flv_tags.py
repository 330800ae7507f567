"""Finds the audio of an FLV file at a second. FFmpeg reads everything before it.

Source: Adobe Flash Video File Format Specification 10.1, annex E.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from worker.decoding.seeking.bisection import Mark, find_mark_before
from worker.decoding.seeking.mp4_boxes import ReadRange
from worker.decoding.seeking.place import Place

_HEADER_BYTES = 9
_TAG_BYTES = 11
_SIZE_BYTES = 4
_AUDIO = b"\x08"
_TYPES = (0x08, 0x09, 0x12)
_AAC, _AAC_SETUP = 10, 0
_CHUNK_BYTES = 1 << 15
_MAX_TAG_BYTES = 1 << 15
"""Of audio: 0.2 s without compression."""
_MAX_FIRST_TAGS = 500
_END_BYTES = 1 << 18
_PREROLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    kind: int
    offset: int
    size_bytes: int
    """All of the tag."""
    seconds: float
    content: bytes
    """The first two bytes after its header."""

    @property
    def end(self) -> int:
        """Offset of the next tag."""
        return self.offset + self.size_bytes + _SIZE_BYTES

    @property
    def is_setup(self) -> bool:
        """Whether it says how to decode the audio after it."""
        return len(self.content) == 2 and self.content[0] >> 4 == _AAC and self.content[1] == _AAC_SETUP


class FlvTags:
    """The tags of one file. Reads only as much as a question needs."""

    def __init__(self, read: ReadRange, *, size: int) -> None:
        """*size* is the file's.

        Raises:
            ValueError: the file does not begin with tags of which one is of audio.
        """
        self._read, self._size = read, size
        header = read(0, _HEADER_BYTES)
        self._head = header + bytes(_SIZE_BYTES)
        offset = int.from_bytes(header[5:]) + _SIZE_BYTES
        for _ in range(_MAX_FIRST_TAGS):
            tag = self._tag_at(offset)
            if tag is None:
                break
            if tag.kind == _AUDIO[0] and not tag.is_setup:
                self._first = tag
                return
            if tag.kind == _AUDIO[0]:
                self._head += read(offset, tag.size_bytes + _SIZE_BYTES)
            offset = tag.end
        raise ValueError("no audio tag")

    @cached_property
    def duration_seconds(self) -> float:
        """From the first tag of audio to the last one that is found near the end."""
        start = max(self._first.offset, self._size - _END_BYTES)
        data = self._read(start, self._size - start)
        tags = self._audio_in(data, base=start, end=len(data))
        return max((tag.seconds for tag in tags), default=self._first.seconds) - self._first.seconds

    def place_before(self, seconds: float) -> Place | None:
        """Return a place shortly before *seconds*, None if the recording ends before.

        Seconds count from the first tag of audio.
        """
        second = self._find(self._first.end, self._size)
        if second is None or seconds >= self.duration_seconds:
            return None
        first = Mark(offset=self._first.offset, seconds=self._first.seconds)
        mark = find_mark_before(
            self._find,
            first=first,
            second=second,
            end=self._size,
            target=first.seconds + seconds - _PREROLL_SECONDS,
        )
        return Place(offset=mark.offset, seconds=mark.seconds - first.seconds, head=self._head)

    def _find(self, offset: int, end: int) -> Mark | None:
        tag = self._find_tag(offset, end)
        return Mark(offset=tag.offset, seconds=tag.seconds) if tag is not None else None

    def _find_tag(self, offset: int, end: int) -> _Tag | None:
        """Return the first tag of audio that begins in a range."""
        while offset < end:
            reach = min(_CHUNK_BYTES, end - offset)
            data = self._read(offset, reach + _MAX_TAG_BYTES)
            if (tag := next(self._audio_in(data, base=offset, end=reach), None)) is not None:
                return tag
            offset += reach
        return None

    def _audio_in(self, data: bytes, *, base: int, end: int) -> Iterator[_Tag]:
        """Yield the tags like the first one that begin before an index of *data*."""
        at = data.find(_AUDIO, 0, end)
        while at >= 0:
            tag = self._parse(data, at, base=base)
            if tag is not None and not tag.is_setup and tag.content[:1] == self._first.content[:1]:
                yield tag
                at += tag.size_bytes + _SIZE_BYTES - 1
            at = data.find(_AUDIO, at + 1, end)

    def _tag_at(self, offset: int) -> _Tag | None:
        head = self._read(offset, _TAG_BYTES)
        if len(head) < _TAG_BYTES:
            return None
        data = self._read(offset, _TAG_BYTES + int.from_bytes(head[1:4]) + _SIZE_BYTES)
        return self._parse(data, 0, base=offset)

    @staticmethod
    def _parse(data: bytes, at: int, *, base: int) -> _Tag | None:
        """Read a tag at an index of *data*, which has the offset *base*. None unless all of it is there."""
        head = data[at : at + _TAG_BYTES + 2]
        size = _TAG_BYTES + int.from_bytes(head[1:4])
        stored = data[at + size : at + size + _SIZE_BYTES]
        if len(head) < _TAG_BYTES + 2 or head[0] not in _TYPES or head[8:_TAG_BYTES] != bytes(3):
            return None
        if len(stored) < _SIZE_BYTES or int.from_bytes(stored) != size:
            return None
        milliseconds = head[7] << 24 | int.from_bytes(head[4:7])
        return _Tag(
            kind=head[0],
            offset=base + at,
            size_bytes=size,
            seconds=milliseconds / 1000,
            content=head[_TAG_BYTES:],
        )
