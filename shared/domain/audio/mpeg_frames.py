"""Reads the headers of MPEG audio frames (MP1, MP2, MP3) and of AAC frames in ADTS. Pure."""

from dataclasses import dataclass
from typing import Self

HEADER_BYTES = 6

_MPEG1, _LAYER1, _LAYER3 = 3, 3, 1
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS_MPEG1 = {
    3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_MPEG2 = {
    3: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_ADTS_RATES = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MpegFrame:
    """What a frame header says."""

    kind: tuple[int, int, int]
    """Version, layer and sample rate: the same for all frames of a recording."""
    size_bytes: int
    """Header included."""
    samples: int
    """Frames of audio, in each channel."""
    sample_rate: int
    bits_per_second: int
    """0 for ADTS, whose headers do not have it."""
    is_mono: bool

    @classmethod
    def of_size(cls, *, kind: tuple[int, int, int], size_bytes: int, samples: int, sample_rate: int) -> Self:
        """A frame whose header has its size and not its bit rate."""
        return cls(
            kind=kind,
            size_bytes=size_bytes,
            samples=samples,
            sample_rate=sample_rate,
            bits_per_second=size_bytes * 8 * sample_rate // samples,
            is_mono=False,
        )

    @property
    def is_layer3(self) -> bool:
        """Whether it is MP3, not MP1, MP2 or AAC."""
        return self.kind[1] == _LAYER3


def parse_frame(header: bytes) -> MpegFrame | None:
    """Read the first `HEADER_BYTES` of a frame. Returns None if it is not one, or a free-format frame."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    if layer == 0:
        return _parse_adts(header)
    bits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3 or header[3] & 3 == 2:
        return None
    sample_rate = _RATES[version][rate]
    bits_per_second = (_KBITS_MPEG1 if version == _MPEG1 else _KBITS_MPEG2)[layer][bits - 1] * 1000
    if layer == _LAYER1:
        samples, size = 384, (12 * bits_per_second // sample_rate + padding) * 4
    else:
        samples = 576 if layer == _LAYER3 and version != _MPEG1 else 1152
        size = samples // 8 * bits_per_second // sample_rate + padding
    return MpegFrame(
        kind=(version, layer, sample_rate),
        size_bytes=size,
        samples=samples,
        sample_rate=sample_rate,
        bits_per_second=bits_per_second,
        is_mono=header[3] >> 6 == 3,
    )


def _parse_adts(header: bytes) -> MpegFrame | None:
    rate = header[2] >> 2 & 15
    if header[1] & 0xF6 != 0xF0 or rate >= len(_ADTS_RATES):
        return None
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if size <= 7:
        return None
    return MpegFrame(
        kind=(header[1] >> 3 & 1, 0, _ADTS_RATES[rate]),
        size_bytes=size,
        samples=1024,
        sample_rate=_ADTS_RATES[rate],
        bits_per_second=0,
        is_mono=(header[2] & 1) << 2 | header[3] >> 6 == 1,
    )
