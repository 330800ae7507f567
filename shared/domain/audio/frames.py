"""Recognizes streams of audio frames that have no header of a file. Pure."""

from shared.domain.audio.mpeg_frames import parse_frame

_TRANSPORT_PACKET_BYTES = (188, 192, 204)
"""Plain; with the time that cameras put before each packet; with error correction."""
_GSM_FRAME_BYTES = 33
_LOAS_HEADER_BYTES = 3
_FLAC_RESERVED_RATE = 15


def has_mpeg_frames(head: bytes) -> bool:
    """Whether a frame of MPEG audio or of AAC (ADTS) is followed by another, after junk or not."""
    first = len(head) - len(head.lstrip(b"\0"))
    at = head.find(b"\xff")
    while 0 <= at < len(head) - 6:
        length = _frame_bytes(head[at : at + 6]) or _free_format_bytes(head, at)
        if length is not None:
            following = head[at + length : at + length + 6]
            # no frame after it confirms the last one: then it must be at the very beginning
            if _frame_bytes(following) is not None or (at == first and len(following) < 6):
                return True
            if length == _free_format_bytes(head, at):
                return True
        at = head.find(b"\xff", at + 1)
    return False


def has_loas_frames(head: bytes) -> bool:
    """Whether two LOAS frames (AAC as broadcast) follow each other."""
    if not _is_loas(head):
        return False
    length = (head[1] & 0x1F) << 8 | head[2]
    return _is_loas(head[_LOAS_HEADER_BYTES + length :])


def has_gsm_frames(head: bytes) -> bool:
    """Whether every 33 bytes begin with the signature of a GSM frame."""
    starts = head[::_GSM_FRAME_BYTES]
    return len(starts) >= 8 and all(byte >> 4 == 0xD for byte in starts)


def has_flac_frame(head: bytes) -> bool:
    """Whether *head* begins with the header of a FLAC frame, as a stream that was joined late does."""
    if len(head) < 16 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return False
    block, rate, channels, bits = head[2] >> 4, head[2] & 15, head[3] >> 4, head[3] >> 1 & 7
    if block == 0 or rate == _FLAC_RESERVED_RATE or channels > 10 or bits == 3 or head[3] & 1:
        return False
    number_bytes = max(1, 8 - (~head[4] & 0xFF).bit_length())
    end = 4 + number_bytes + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    return len(head) > end and _crc8(head[:end]) == head[end]


def has_transport_packets(head: bytes) -> bool:
    """Whether packets of an MPEG transport stream follow each other, also after a part of one."""
    for size in _TRANSPORT_PACKET_BYTES:
        for at in range(size):
            packets = 3 if at in (0, 4) else 5
            if len(head) > at + (packets - 1) * size and all(
                head[at + number * size] == 0x47 for number in range(packets)
            ):
                return True
    return False


def _is_loas(frame: bytes) -> bool:
    return len(frame) >= _LOAS_HEADER_BYTES and frame[0] == 0x56 and frame[1] & 0xE0 == 0xE0


def _crc8(data: bytes) -> int:
    """Return the CRC-8 of a FLAC frame's header (polynomial 0x07)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


_MIN_FREE_FORMAT_BYTES = 24
_MAX_FREE_FORMAT_BYTES = 2_016
"""640 kbit/s at 44.1 kHz need 2,089 bytes; decoders take somewhat less."""


def _frame_bytes(header: bytes) -> int | None:
    frame = parse_frame(header)
    return frame.size_bytes if frame is not None else None


def _free_format_bytes(head: bytes, at: int) -> int | None:
    """Length of an MP3 frame whose header does not tell it; two like it must follow, a byte apart at most."""
    header = head[at : at + 4]
    is_free_format = (
        len(header) == 4
        and header[1] & 0xE0 == 0xE0
        and header[1] >> 3 & 3 != 1
        and header[1] >> 1 & 3 == 1
        and header[2] >> 4 == 0
        and header[2] >> 2 & 3 != 3
        and header[3] & 3 != 2
    )
    if not is_free_format:
        return None
    second = at + _MIN_FREE_FORMAT_BYTES
    while (second := head.find(header[:2], second, at + _MAX_FREE_FORMAT_BYTES)) >= 0:
        length = second - at
        for third in range(second + length - 1, second + length + 2):
            if _is_alike(header, head[second : second + 4]) and _is_alike(header, head[third : third + 4]):
                return length
        second += 1
    return None


def _is_alike(first: bytes, second: bytes) -> bool:
    """Whether two headers of MP3 frames have the same bit rate and sample rate."""
    return len(second) == 4 and second[:2] == first[:2] and (second[2] ^ first[2]) & 0xFC == 0
