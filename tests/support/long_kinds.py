"""Files of two hours in every common format, and what a window of a minute may cost to read."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from tests.support import long_mp3, long_wavpack
from tests.support.long_files import (
    SECONDS,
    LongFile,
    Unit,
    dts_unit,
    gsm_unit,
    joined,
    muxed,
    order_of_sections,
    stored,
    unit,
)

ENCODER_DELAY_SECONDS = 0.07
AMR_HEAD, AMR_WIDE_HEAD = b"#!AMR\n", b"#!AMR-WB\n"


def _aac(muxer: str = "ipod", rate: int = 16_000) -> Unit:
    return unit("aac", muxer, rate=rate, kbits=64)


def _opus() -> Unit:
    return unit("libopus", "ogg", rate=16_000, kbits=64, option="frame_duration=60")


def fragmented(flags: str) -> LongFile:
    """Return an MP4 of fragments of two seconds, without an index but with what *flags* add."""
    return muxed(_aac(), "mp4", movflags=flags, frag_duration="2000000")


def amr(kbits: tuple[int, ...] = (12,)) -> LongFile:
    """Return narrow-band AMR. Each section has one of *kbits*, in turn."""
    units = [unit("libopencore_amrnb", "amr", rate=8_000, kbits=each) for each in kbits]
    first = units[0]
    order = order_of_sections(round(SECONDS / first.section_seconds))
    packets = (units[at % len(units)].section(int(number)) for at, number in enumerate(order))
    content = AMR_HEAD + b"".join(chain.from_iterable(packets))
    return LongFile(content=content, section_seconds=first.section_seconds, order=order)


LONG_KINDS: dict[str, Callable[[], LongFile]] = {
    "wav": lambda: stored("WAV", "PCM_16"),
    "aiff": lambda: stored("AIFF", "PCM_16"),
    "flac": lambda: stored("FLAC", "PCM_16"),
    "mp3-cbr": lambda: long_mp3.constant(index=b"Info"),
    "mp3-cbr-no-index": long_mp3.constant,
    "mp3-cbr-false-index": lambda: long_mp3.constant(index=b"Xing", claimed_share=3.0),
    "mp3-vbr-xing": lambda: long_mp3.varying(b"Xing"),
    "mp3-vbr-vbri": lambda: long_mp3.varying(b"VBRI"),
    "mp3-vbr-no-index": long_mp3.varying,
    "aac-adts": lambda: joined(_aac("adts")),
    "m4a": lambda: muxed(_aac(), "ipod"),
    "m4a-faststart": lambda: muxed(_aac(), "ipod", movflags="faststart"),
    "mp4-fragments": lambda: fragmented("frag_keyframe+empty_moov+default_base_moof"),
    "mp4-fragments-absolute": lambda: fragmented("frag_keyframe+empty_moov"),
    "mp4-fragments-sidx": lambda: fragmented("dash+global_sidx"),
    "wavpack": long_wavpack.wavpack,
    "ogg-opus": lambda: muxed(_opus(), "ogg"),
    "webm-opus": lambda: muxed(_opus(), "webm"),
    "mka-aac": lambda: muxed(_aac(), "matroska"),
    "mpegts-aac": lambda: muxed(_aac("adts"), "mpegts"),
    "flv-aac": lambda: muxed(_aac("flv"), "flv"),
    "ac3": lambda: joined(unit("ac3", "ac3", rate=48_000, kbits=64)),
    "eac3": lambda: joined(unit("eac3", "eac3", rate=48_000, kbits=64)),
    "dts": lambda: joined(dts_unit()),
    "gsm": lambda: joined(gsm_unit()),
    "amr": amr,
    "amr-several-rates": lambda: amr(kbits=(12, 7, 5)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a window costs, and where it is."""

    extra_mib: tuple[float, float, float]
    """Beyond the bytes of the window, at most: at the start, after one hour, and 100 s before the end."""
    seek_seconds: float = ENCODER_DELAY_SECONDS
    """How far from the requested start the window begins at most."""


STORED_KINDS = ("wav", "flac", "mp3-cbr", "m4a", "ogg-opus", "webm-opus")
"""They are also read from a real storage server."""
STORAGE_EXTRA_MIB = 4.0
"""What the worker reads beyond the window in storage, at most: it reads ahead."""
_INDEX_AT_END = Reads(extra_mib=(2.0, 2.0, 2.0))
_BEFORE = Reads(extra_mib=(0.6, 2.0, 2.0))
READS: dict[str, Reads] = dict.fromkeys(LONG_KINDS, _BEFORE) | {
    "mp3-vbr-xing": Reads(extra_mib=(0.5, 2.0, 2.0), seek_seconds=40.0),
    "mp3-vbr-vbri": Reads(extra_mib=(0.5, 2.0, 2.0), seek_seconds=40.0),
    "mp3-vbr-no-index": Reads(extra_mib=(0.5, 60.0, 112.0)),
    "aac-adts": Reads(extra_mib=(0.5, 30.0, 58.0)),
    "m4a": _INDEX_AT_END,
    "m4a-faststart": _INDEX_AT_END,
    "amr-several-rates": Reads(extra_mib=(0.6, 5.0, 9.0)),
}
