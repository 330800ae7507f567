"""Reads what encoders of MP3 say in the first frame about all others: a Xing, Info or VBRI header.

Trusts nothing: counts that don't fit the file are left out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.audio.mpeg_frames import MpegFrame, parse_frame

DECODER_DELAY = 529
"""Samples that mpg123 leaves out if there is an index."""
_LAME_DELAY_OFFSET = 21
_VBRI_OFFSET = 36
_RELAXATIONS = 400
_MPEG1 = 3
_NO_CHECKSUM, _MIDDLE_BIT_RATE = 1, 0x90
_MAX_FRAMES = 1 << 28
# The frame of a second is between these before and after its entry, as LAME and FFmpeg round.
_STEPS_BEFORE, _STEPS_AFTER = 0.85, 1.2
_PLAUSIBLE_BITS_PER_SECOND = (4_000, 500_000)
_MAX_LACK = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class XingHeader:
    """An index of an MP3 file. Offsets count from the frame that holds the header."""

    frames: int
    size_bytes: int
    seconds: NDArray[Any]
    offsets: NDArray[Any]
    """Where the frames at *seconds* are, estimated."""
    delay_samples: int = 0
    """How many samples of the encoder decoders leave out at the start, besides `DECODER_DELAY`."""


def is_index_frame(content: bytes, frame: MpegFrame) -> bool:
    """Whether *content*, a whole frame, is an index instead of audio."""
    return _xing_offset(content, frame) > 0 or content[_VBRI_OFFSET : _VBRI_OFFSET + 4] == b"VBRI"


def parse_xing_header(content: bytes, frame: MpegFrame, *, stored_bytes: int) -> XingHeader | None:
    """Read *content*, the first frame. *stored_bytes* is the size of the file from there on.

    Returns None if there is no header, or one that can't be true.
    """
    at = _xing_offset(content, frame)
    header = _parse_xing(content, at, frame) if at else _parse_vbri(content, frame)
    if header is None or header.frames == 0 or header.size_bytes == 0:
        return None
    seconds = header.frames * frame.samples / frame.sample_rate
    lowest, highest = _PLAUSIBLE_BITS_PER_SECOND
    if not lowest <= 8 * header.size_bytes / seconds <= highest:
        return None
    # A download that was cut off keeps its index; a second file behind the first has one of its own.
    return header if stored_bytes <= (1 + _MAX_LACK) * header.size_bytes + (1 << 16) else None


def make_index_frame(header: bytes, frame: MpegFrame, *, frames: int) -> bytes:
    """Return a frame that announces *frames* frames such as *frame*, whose first bytes are *header*.

    libsndfile guesses the length of a file without an index from its first frames and reads no further.
    """
    if not frame.is_layer3:
        return b""
    start = bytes([header[0], header[1] | _NO_CHECKSUM, _MIDDLE_BIT_RATE | header[2] & 0x0C, header[3], 0, 0])
    made = parse_frame(start)
    assert made is not None  # noqa: S101 - the header was parsed before
    body = b"Xing" + (1).to_bytes(4) + min(frames, _MAX_FRAMES).to_bytes(4)
    return (start[:4].ljust(4 + _side_info_bytes(frame), b"\0") + body).ljust(made.size_bytes, b"\0")


def _xing_offset(content: bytes, frame: MpegFrame) -> int:
    at = 4 + _side_info_bytes(frame)
    return at if content[at : at + 4] in (b"Xing", b"Info") else 0


def _side_info_bytes(frame: MpegFrame) -> int:
    if frame.kind[0] == _MPEG1:
        return 17 if frame.is_mono else 32
    return 9 if frame.is_mono else 17


def _parse_xing(content: bytes, at: int, frame: MpegFrame) -> XingHeader:
    flags = int.from_bytes(content[at + 4 : at + 8])
    position, fields = at + 8, [0, 0]
    for number in range(2):
        if flags >> number & 1:
            fields[number] = int.from_bytes(content[position : position + 4])
            position += 4
    frames, size = fields
    table = content[position : position + 100] if flags & 4 else b""
    position += 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    delay = 0
    if content[position : position + 4].isalnum():  # LAME and others that write like it, such as Lavc
        delays = content[position + _LAME_DELAY_OFFSET : position + _LAME_DELAY_OFFSET + 3]
        delay = int.from_bytes(delays) >> 12
    shares = _smooth_table(table)
    return XingHeader(
        frames=frames,
        size_bytes=size,
        seconds=np.arange(len(shares)) * (frames * frame.samples / frame.sample_rate / (len(shares) - 1)),
        offsets=shares * size,
        delay_samples=delay,
    )


def _smooth_table(table: bytes) -> NDArray[np.float64]:
    """Return the straightest course of bytes over time that the coarse steps of *table* allow."""
    if len(table) != 100 or table[-1] == 0 or sorted(table) != list(table):
        return np.array([0.0, 1.0])
    steps = np.append(np.frombuffer(table, np.uint8), 256)
    lowest, highest = (steps - _STEPS_BEFORE) / 256, (steps + _STEPS_AFTER) / 256
    lowest[0] = highest[0] = 0.0
    lowest[-1] = highest[-1] = 1.0
    shares = np.clip(np.linspace(0.0, 1.0, 101), lowest, highest)
    for _ in range(_RELAXATIONS):
        shares[1:-1] = np.clip((shares[:-2] + shares[2:]) / 2, lowest[1:-1], highest[1:-1])
    return shares


def _parse_vbri(content: bytes, frame: MpegFrame) -> XingHeader | None:
    if content[_VBRI_OFFSET : _VBRI_OFFSET + 4] != b"VBRI":
        return None
    fields = content[_VBRI_OFFSET + 10 :]
    size, frames = int.from_bytes(fields[:4]), int.from_bytes(fields[4:8])
    count, scale, entry_bytes, entry_frames = (int.from_bytes(fields[at : at + 2]) for at in (8, 10, 12, 14))
    table = fields[16 : 16 + count * entry_bytes]
    if not 1 <= entry_bytes <= 4 or len(table) != count * entry_bytes or count == 0:
        return None
    steps = [scale * int.from_bytes(table[at : at + entry_bytes]) for at in range(0, len(table), entry_bytes)]
    offsets = np.concatenate([[0.0], np.cumsum(steps, dtype=np.float64)])
    return XingHeader(
        frames=frames,
        size_bytes=size,
        seconds=np.arange(len(offsets)) * (entry_frames * frame.samples / frame.sample_rate),
        offsets=offsets,
    )
