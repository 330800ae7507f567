"""The files of `benchmarks.fuzz`: damaged ones, every layout of channels, sizes of 64 bits, and long ones.

File *n* of a format depends only on the seed, the format and *n*.
"""

import random
from functools import cache

import numpy as np

from tests.support.audio_files import (
    KINDS,
    MULTICHANNEL_KINDS,
    audio_file,
    multichannel_file,
    soundfile_bytes,
    tone,
)
from tests.support.format_files import FORMAT_FILES, format_file
from tests.support.hostile_files import with_ogg_checksums
from tests.support.long_kinds import LONG_KINDS

BOUNDARIES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
LARGE_BOUNDARIES = (
    *(
        base + offset
        for base in (1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63)
        for offset in (-9, -1, 0, 1, 8)
    ),
    *((1 << 64) - offset for offset in (1, 2, 8, 44, 4096)),
)
"""Around what a signed or unsigned size holds, with and without the header that is added to it."""
LAYOUTS = (
    *("mono", "stereo", "2.1", "3.0", "4.0", "quad", "4.1", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.0"),
    *("6.1", "7.0", "7.1", "7.1(wide)", "7.1(wide-side)", "hexagonal", "octagonal", "cube", "5.1.4"),
    *("7.1.2", "7.1.4", "9.1.4", "9.1.6", "hexadecagonal", "22.2"),
)
_SOUNDFILE_CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 24, 32, 33, 64, 255)
_SOUNDFILE_KINDS = (
    ("WAV", "PCM_16"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "FLOAT"),
    ("CAF", "ALAC_16"),
    ("CAF", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
)
CHANNELS = (
    *(f"channels-{kind}" for kind in MULTICHANNEL_KINDS),
    *(f"channels-{container}-{codec}".lower() for container, codec in _SOUNDFILE_KINDS),
)
_SIZED = {
    "sizes-rf64": ("RF64", "PCM_16"),
    "sizes-w64": ("W64", "PCM_16"),
    "sizes-caf": ("CAF", "PCM_16"),
    "sizes-wav": ("WAV", "PCM_16"),
    "sizes-aiff": ("AIFF", "PCM_16"),
    "sizes-au": ("AU", "PCM_16"),
}
_SIZED_BY_FFMPEG = ("m4a", "mp4-fragmented", "mka", "webm-opus", "wma", "avi")
SIZES = (*_SIZED, *(f"sizes-{kind}" for kind in _SIZED_BY_FFMPEG))
_LONG_KINDS = (
    *("aac-adts", "ac3", "amr", "amr-several-rates", "dts", "eac3", "flac", "flv-aac", "gsm", "mp3-cbr"),
    *("mp3-cbr-no-index", "mp3-vbr-vbri", "mp3-vbr-xing", "mp4-fragments", "mp4-fragments-sidx", "ogg-opus"),
    "wavpack",
)
SEEKS = tuple(f"seek-{kind}" for kind in _LONG_KINDS)
SEEK_START_SECONDS = 150.0
"""Where the window of `SEEKS` begins: too far behind for frames to be counted, in most of them."""
_LONG_BYTES = 3 << 20
FORMATS = (*KINDS, *FORMAT_FILES, *CHANNELS, *SIZES, *SEEKS)
_RATE = 44_100
_SECONDS = 0.3


def fuzz_file(kind: str, *, seed: int, number: int) -> bytes:
    """Return file *number* of one of `FORMATS`."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    if kind in KINDS:
        return corrupt(kind, audio_file(kind), rng)
    if kind in FORMAT_FILES:
        return corrupt(kind, format_file(kind), rng)
    if kind in SIZES:
        return _with_large_sizes(_sized(kind), rng)
    if kind in SEEKS:
        return corrupt(kind, _long(kind), rng)
    file = rng.choice(_intact_files(kind))
    return file if rng.random() < 0.3 else corrupt(kind, file, rng)


def prepare(kind: str) -> None:
    """Make what the files of a format have in common, before children are forked that share it."""
    if kind in KINDS:
        audio_file(kind)
    elif kind in FORMAT_FILES:
        format_file(kind)
    elif kind in SIZES:
        _sized(kind)
    elif kind in SEEKS:
        _long(kind)
    else:
        _intact_files(kind)


@cache
def _long(kind: str) -> bytes:
    """The beginning of a file of two hours. What its header says of the rest is wrong, then."""
    return LONG_KINDS[kind.removeprefix("seek-")]().content[:_LONG_BYTES]


@cache
def _intact_files(kind: str) -> list[bytes]:
    """One file of each layout, or number of channels, that the encoder takes."""
    name = kind.removeprefix("channels-")
    if name in MULTICHANNEL_KINDS:
        files = [_by_ffmpeg(name, layout) for layout in LAYOUTS]
    else:
        files = [_by_soundfile(name, channels) for channels in _SOUNDFILE_CHANNELS]
    return [file for file in files if file]


def _by_ffmpeg(kind: str, layout: str) -> bytes:
    try:
        return multichannel_file(kind, layout, seconds=_SECONDS)
    except (OSError, ValueError):  # the encoder has no such layout
        return b""


def _by_soundfile(name: str, channels: int) -> bytes:
    (container, codec) = next(pair for pair in _SOUNDFILE_KINDS if "-".join(pair).lower() == name)
    rate = 48_000 if codec == "OPUS" else _RATE
    try:
        return soundfile_bytes(
            np.repeat(tone(_SECONDS, rate=rate, channels=1), channels, axis=1),
            rate=rate,
            container=container,
            codec=codec,
        )
    except (RuntimeError, ValueError):  # the format has no such number of channels
        return b""


@cache
def _sized(kind: str) -> bytes:
    if kind not in _SIZED:
        return audio_file(kind.removeprefix("sizes-"))
    container, codec = _SIZED[kind]
    return soundfile_bytes(tone(_SECONDS), rate=_RATE, container=container, codec=codec)


def _with_large_sizes(original: bytes, rng: random.Random) -> bytes:
    """Put sizes of 64 bits, or their lower halves, where headers and indexes are."""
    file = bytearray(original)
    for _ in range(rng.choice((1, 1, 2, 3))):
        start = rng.choice((0, 0, 0, max(0, len(file) - 512)))
        offset = start + rng.randrange(max(1, min(len(file) - start, 512) - 8))
        offset -= offset % rng.choice((1, 2, 4, 4))
        width = rng.choice((4, 8, 8))
        value = rng.choice(LARGE_BOUNDARIES) & (1 << 8 * width) - 1
        file[offset : offset + width] = value.to_bytes(width, "big" if rng.random() < 0.5 else "little")
    return bytes(file)


def corrupt(kind: str, original: bytes, rng: random.Random) -> bytes:
    """Return a file with one to eight corruptions."""
    file = bytearray(original)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        # Half of the damage goes to where headers are.
        offset = rng.randrange(min(len(file), rng.choice((512, len(file)))))
        length = rng.choice((1, 2, 4, 16, 256, 4096))
        match rng.randrange(8):
            case 0 | 1:
                file[offset : offset + 1] = bytes([rng.randrange(256)])
            case 2:
                file[offset : offset + 1] = bytes([file[offset] ^ 1 << rng.randrange(8)])
            case 3:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
                value = rng.choice(BOUNDARIES) & (1 << 8 * width) - 1
                file[offset : offset + width] = value.to_bytes(width, "big" if order == "big" else "little")
            case 4:
                del file[offset : offset + length]
            case 5:
                file[offset:offset] = file[offset : offset + length]
            case 6:
                file[offset : offset + length] = rng.randbytes(length)
            case 7:
                del file[max(offset, 16) :]
        if not file:
            return b""
    if kind.startswith("ogg") and rng.random() < 0.8:
        return with_ogg_checksums(bytes(file))  # else most of these end at a checksum
    return bytes(file)
