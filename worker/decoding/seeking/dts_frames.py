"""Reads the headers of DTS frames in all four ways of storing their bits. Pure.

Source: ETSI TS 102 114, clause 5.3. Extensions of DTS-HD lie between frames and are not stepped over.
"""

from shared.domain.audio.mpeg_frames import MpegFrame

SYNCS = (b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\x1f\xff\xe8\x00", b"\xff\x1f\x00\xe8")
"""Of 16 bits in each word, high and low byte first, then of 14 bits, which look like samples of a CD."""
HEADER_BYTES = 12

_RATES = (
    0, 8_000, 16_000, 32_000, 0, 0, 11_025, 22_050, 44_100, 0, 0, 12_000, 24_000, 48_000, 96_000, 192_000,
)  # fmt: skip
_BLOCK_SAMPLES = 32
_MIN_BLOCKS, _MIN_SIZE_BYTES = 6, 96
_WORD_BITS, _SHORT_WORD_BITS = 16, 14
_LAYER = 5
"""No layer of MPEG has this number."""


def parse_dts_frame(header: bytes) -> MpegFrame | None:
    """Read the first `HEADER_BYTES` of a frame. Returns None if it is not one."""
    if len(header) < HEADER_BYTES or header[:4] not in SYNCS:
        return None
    storage = SYNCS.index(header[:4])
    word_bits = _WORD_BITS if storage < 2 else _SHORT_WORD_BITS
    words = [
        int.from_bytes(header[at : at + 2], "little" if storage % 2 else "big") & (1 << word_bits) - 1
        for at in range(0, HEADER_BYTES, 2)
    ]
    fields = 0
    for word in words:
        fields = fields << word_bits | word
    fields >>= len(words) * word_bits - 70
    rate, size, blocks = _RATES[fields & 15], (fields >> 10 & 0x3FFF) + 1, (fields >> 24 & 0x7F) + 1
    if rate == 0 or size < _MIN_SIZE_BYTES or blocks < _MIN_BLOCKS:
        return None
    stored = size if word_bits == _WORD_BITS else 2 * -(-size * 8 // _SHORT_WORD_BITS)
    samples = blocks * _BLOCK_SAMPLES
    return MpegFrame.of_size(
        kind=(storage, _LAYER, rate), size_bytes=stored, samples=samples, sample_rate=rate
    )
