"""Leaves pictures and other large metadata out of a FLAC file, which libFLAC reads to throw them away."""

from worker.decoding.seeking.mp4_boxes import ReadRange

_NEEDED = (0, 3)
"""STREAMINFO and SEEKTABLE."""
_MAX_BLOCKS = 2_000
_MAX_SEEK_TABLE_BYTES = 1 << 18
_LARGE_BYTES = 1 << 16


def short_metadata(read: ReadRange, *, start: int) -> tuple[int, bytes] | None:
    """Return the offset of the first frame, and what to show before it instead of the metadata.

    *start* is the offset of `fLaC`. Returns None if the metadata are small, or do not end.
    """
    offset = start + 4
    needed: list[tuple[int, bytes]] = []
    for _ in range(_MAX_BLOCKS):
        head = read(offset, 4)
        if len(head) < 4:
            return None
        kind, size = head[0] & 0x7F, int.from_bytes(head[1:])
        if kind in _NEEDED and size <= _MAX_SEEK_TABLE_BYTES:
            needed.append((kind, read(offset + 4, size)))
        offset += 4 + size
        if head[0] >= 0x80:
            break
    else:
        return None
    if offset - start <= _LARGE_BYTES or not needed:
        return None
    kinds = [kind | 0x80 * (number == len(needed) - 1) for number, (kind, _) in enumerate(needed)]
    blocks = [
        bytes([kind]) + len(body).to_bytes(3) + body for kind, (_, body) in zip(kinds, needed, strict=True)
    ]
    return offset, b"fLaC" + b"".join(blocks)
