"""Reads the headers of AC-3 and E-AC-3 frames. Pure.

Source: ETSI TS 102 366, clauses 4.3 and E.1.2.
"""

from shared.domain.audio.mpeg_frames import HEADER_BYTES, MpegFrame

SYNC = b"\x0bw"

_RATES = (48_000, 44_100, 32_000)
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_BLOCK_SAMPLES = 256
_BLOCKS = (1, 2, 3, 6)
_MAX_PLAIN_VERSION, _MAX_VERSION = 10, 16
_HALF_RATES = 3
_LAYER = 4
"""No layer of MPEG has this number."""


def parse_ac3_frame(header: bytes) -> MpegFrame | None:
    """Read the first `HEADER_BYTES` of a frame.

    Returns None if it is not one, or if it only adds channels to the frame before it.
    """
    if len(header) < HEADER_BYTES or header[:2] != SYNC:
        return None
    version = header[5] >> 3
    if version <= _MAX_PLAIN_VERSION:
        return _parse_plain(header, version)
    return _parse_enhanced(header, version) if version <= _MAX_VERSION else None


def _parse_plain(header: bytes, version: int) -> MpegFrame | None:
    rate, code = header[4] >> 6, header[4] & 0x3F
    if rate >= len(_RATES) or code >= 2 * len(_KBITS):
        return None
    bits_per_second = _KBITS[code >> 1] * 1000
    samples = _BLOCKS[-1] * _BLOCK_SAMPLES
    words = samples // 16 * bits_per_second // _RATES[rate]
    halvings = max(0, version - 8)
    # At 44.1 kHz some frames have a word more, so that the mean is right.
    padding = code & 1 if rate == 1 else 0
    return MpegFrame(
        kind=(version, _LAYER, _RATES[rate]),
        size_bytes=2 * (words + padding),
        samples=samples,
        sample_rate=_RATES[rate] >> halvings,
        bits_per_second=bits_per_second >> halvings,
        is_mono=False,
    )


def _parse_enhanced(header: bytes, version: int) -> MpegFrame | None:
    is_first_of_channels = header[2] >> 3 in (0b00000, 0b10000)
    rate, blocks = header[4] >> 6, header[4] >> 4 & 3
    if not is_first_of_channels or (rate == _HALF_RATES and blocks >= len(_RATES)):
        return None
    sample_rate = _RATES[blocks] // 2 if rate == _HALF_RATES else _RATES[rate]
    samples = _BLOCK_SAMPLES * (_BLOCKS[-1] if rate == _HALF_RATES else _BLOCKS[blocks])
    size = 2 * (((header[2] & 7) << 8 | header[3]) + 1)
    return MpegFrame.of_size(
        kind=(version, _LAYER, sample_rate), size_bytes=size, samples=samples, sample_rate=sample_rate
    )
