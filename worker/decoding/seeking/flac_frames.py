"""Finds the last frame of a FLAC file, whose header may declare any length."""

from shared.domain.audio.frames import has_flac_frame
from worker.decoding.seeking.mp4_boxes import ReadRange

_STREAMINFO_BYTES = 34
_MAX_FRAME_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_MAX_HEADER_BYTES = 16
_VARIABLE_BLOCKS = 1


def flac_seconds(read: ReadRange, *, start: int, size: int) -> float | None:
    """Return when the last frame begins. *start* is the offset of `fLaC`, *size* that of the end.

    Returns None if no frame is found near the end.
    """
    info = read(start + 8, _STREAMINFO_BYTES)
    if len(info) < _STREAMINFO_BYTES:
        return None
    block_samples = int.from_bytes(info[2:4])
    rate = int.from_bytes(info[10:13]) >> 4
    if rate == 0:
        return None
    end, last = size, None
    while last is None and end > max(start, size - _MAX_FRAME_BYTES):
        begin = max(start, end - _CHUNK_BYTES)
        last = _last_number(read(begin, end - begin + _MAX_HEADER_BYTES), end - begin)
        end = begin
    if last is None:
        return None
    number, is_sample = last
    return (number if is_sample else number * block_samples) / rate


def _last_number(data: bytes, limit: int) -> tuple[int, bool] | None:
    """Return the number in the last frame header before *limit*, and whether it counts samples."""
    at = limit
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        header = data[at : at + _MAX_HEADER_BYTES].ljust(_MAX_HEADER_BYTES, b"\0")
        if has_flac_frame(header):
            return _coded_number(header[4:]), bool(header[1] & _VARIABLE_BLOCKS)
    return None


def _coded_number(content: bytes) -> int:
    """Read a number coded as in UTF-8, of up to seven bytes."""
    ones = 8 - (~content[0] & 0xFF).bit_length()
    if ones == 0:
        return content[0]
    number = content[0] & (0x7F >> ones)
    for byte in content[1:ones]:
        number = number << 6 | byte & 0x3F
    return number
