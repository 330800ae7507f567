"""Finds the block of a WavPack file at a second. FFmpeg reads all blocks before it."""

import struct
from dataclasses import dataclass

from worker.decoding.seeking.bisection import Mark, find_mark_before
from worker.decoding.seeking.mp4_boxes import ReadRange

_HEADER = struct.Struct("<4sIHBBIIII4x")
_VERSIONS = range(0x402, 0x411)
_CHUNK_BYTES = 1 << 15
_MAX_BLOCK_BYTES = 1 << 24
_IS_FIRST_OF_CHANNELS = 0x800
_RATES = (
    6_000, 8_000, 9_600, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200,
    96_000, 192_000,
)  # fmt: skip
_UNKNOWN = 0xFFFF_FFFF
_PREROLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    first_sample: int
    size_bytes: int
    sample_rate: int
    """0 if the header does not have it."""
    total_samples: int
    """Of the file, in its first block; 0 if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlace:
    """A block of a file."""

    offset: int
    duration_seconds: float | None
    """Of the whole recording."""


def find_wavpack_block(read: ReadRange, *, size: int, seconds: float) -> BlockPlace | None:
    """Return a block shortly before *seconds*, None if there is none. *size* is the file's."""
    first = _parse_block(read(0, _HEADER.size))
    if first is None or first.sample_rate == 0:
        return None
    following = _parse_block(read(first.size_bytes, _HEADER.size))
    if following is None:
        return None
    rate = first.sample_rate

    def find(offset: int, end: int) -> Mark | None:
        return _find_block(read, offset, end, rate)

    mark = find_mark_before(
        find,
        first=Mark(offset=0, seconds=first.first_sample / rate),
        second=Mark(offset=first.size_bytes, seconds=following.first_sample / rate),
        end=size,
        target=seconds - _PREROLL_SECONDS,
    )
    return BlockPlace(offset=mark.offset, duration_seconds=first.total_samples / rate or None)


def _find_block(read: ReadRange, offset: int, end: int, rate: int) -> Mark | None:
    """Return the first block in a range that another one follows."""
    while offset < end:
        data = read(offset, min(_CHUNK_BYTES, end - offset) + _HEADER.size)
        at = data.find(b"wvpk")
        while 0 <= at <= len(data) - _HEADER.size:
            block = _parse_block(data[at : at + _HEADER.size])
            if block is not None and read(offset + at + block.size_bytes, 4) in (b"wvpk", b""):
                return Mark(offset=offset + at, seconds=block.first_sample / rate)
            at = data.find(b"wvpk", at + 1)
        if len(data) <= _HEADER.size:
            return None
        offset += len(data) - _HEADER.size
    return None


def _parse_block(header: bytes) -> _Block | None:
    if len(header) < _HEADER.size:
        return None
    mark, size, version, index_high, total_high, total, index, samples, flags = _HEADER.unpack(header)
    is_valid = mark == b"wvpk" and version in _VERSIONS and 24 <= size <= _MAX_BLOCK_BYTES
    if not is_valid or samples == 0 or not flags & _IS_FIRST_OF_CHANNELS:
        return None
    rate = flags >> 23 & 15
    return _Block(
        first_sample=index_high << 32 | index,
        size_bytes=size + 8,
        sample_rate=_RATES[rate] if rate < len(_RATES) else 0,
        total_samples=0 if total == _UNKNOWN else total_high << 32 | total,
    )
