"""Walks the boxes of MP4 files."""

import struct
from collections.abc import Callable, Iterator

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes at an offset, at most so many."""
_FIRST_BOXES = (b"ftyp", b"styp", b"moov")


def begins_with_index_box(head: bytes) -> bool:
    """Whether the first 8 bytes of a file are those of an MP4 with an index or with fragments."""
    return head[4:8] in _FIRST_BOXES


def boxes(read: ReadRange, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, offset of the body, offset of the end) of consecutive boxes."""
    while start + 8 <= end:
        head = read(start, 16)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head[:8])
        header_bytes = 8
        if length == 1 and len(head) == 16:
            header_bytes, length = 16, int.from_bytes(head[8:])
        elif length == 0:
            length = end - start
        if length < header_bytes:
            return
        yield name, start + header_bytes, min(start + length, end)
        start += length
