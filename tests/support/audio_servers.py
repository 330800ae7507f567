"""Servers of other people that have a song: with ranges, without, and with every bad habit."""

import re
import struct
from collections.abc import Callable, Mapping

from tests.support.webhook_receivers import Answers, ReceivedRequest, Reply

Read = Callable[[int, int], bytes]
"""From a first byte and a size to the bytes of a file."""


def requested_range(got: ReceivedRequest) -> tuple[int, int] | None:
    """First and last byte, where a range is asked for."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", got.headers.get("range", ""))
    return (int(found[1]), int(found[2])) if found else None


def ranged(read: Read, size: int, **headers: str) -> Answers:
    """A server that does it right."""

    def answer(got: ReceivedRequest) -> Reply:
        asked = requested_range(got)
        if asked is None:
            return 200, headers, read(0, size)
        if asked[0] >= size:
            return 416, {"Content-Range": f"bytes */{size}"}, b""
        first, last = asked[0], min(asked[1], size - 1)
        content = read(first, last - first + 1)
        return 206, {"Content-Range": f"bytes {first}-{last}/{size}", **headers}, content

    return answer


def serve_ranges(song: bytes, **headers: str) -> Answers:
    """The same, of bytes."""
    return ranged(lambda first, size: song[first : first + size], len(song), **headers)


def whole(song: bytes, headers: Mapping[str, str] | None = None) -> Answers:
    """A server that knows no ranges."""
    return lambda _: (200, dict(headers or {}), song)


def long_wav(*, seconds: int, rate: int = 44_100) -> tuple[Read, int]:
    """Stereo noise of 16 bits, made as it is read: nobody holds it."""
    frame_bytes = 4
    data = seconds * rate * frame_bytes
    head = b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 2, rate, rate * frame_bytes, frame_bytes, 16)
    head += b"data" + struct.pack("<I", data)
    pattern = bytes((7 * n * n + n) % 251 for n in range(65_537))

    def read(first: int, size: int) -> bytes:
        out = bytearray(head[first : first + size])
        while len(out) < size and first + len(out) < len(head) + data:
            at = (first + len(out) - len(head)) % len(pattern)
            out += pattern[at : at + size - len(out)]
        return bytes(out[:size])

    return read, len(head) + data
