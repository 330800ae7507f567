"""Two hours of MP3, with and without an index, true or false."""

import numpy as np
from numpy.typing import NDArray

from tests.support.long_files import SECONDS, LongFile, Unit, joined, order_of_sections, unit

_KBITS = (64, 128, 192)
_INDEX_FRAME_BYTES = 417
XING_OFFSET, VBRI_OFFSET = 21, 36
_EVERYTHING = 7


def _unit(kbits: int) -> Unit:
    return unit("libmp3lame", "mp3", rate=44_100, kbits=kbits, option="reservoir=0")


def constant(
    *, index: bytes = b"", claimed_share: float = 1.0, head: bytes = b"", seconds: int = SECONDS
) -> LongFile:
    """Return 128 kbit/s. *index* is `Info` or `Xing`, and claims *claimed_share* of the true frames."""
    if not index:
        return joined(_unit(128), seconds=seconds, head=lambda frames, size: head)
    table = bytes(256 * percent // 100 for percent in range(100))
    return joined(_unit(128), head=lambda frames, size: xing(index, int(claimed_share * frames), size, table))


def varying(index: bytes = b"") -> LongFile:
    """Return 64 to 192 kbit/s in slow waves. *index* is `Xing`, `VBRI` or nothing."""
    units = [_unit(kbits) for kbits in _KBITS]
    count = round(SECONDS / units[0].section_seconds)
    order = order_of_sections(count)
    waves = 1 + 1.2 * np.sin(np.arange(count) * 2 * np.pi / 450)
    noise = 0.4 * np.random.default_rng(1).standard_normal(count)
    rates = np.clip(np.round(waves + noise), 0, 2).astype(int)
    sections = [b"".join(units[rate].section(at)) for rate, at in zip(rates, order, strict=True)]
    body = b"".join(sections)
    sizes = np.array([len(section) for section in sections])
    frames = count * units[0].per_section
    head = b""
    if index == b"VBRI":
        head = vbri(frames, sizes, units[0].per_section)
    elif index:
        places = np.interp(np.arange(100) / 100 * count, np.arange(count + 1), np.append(0, np.cumsum(sizes)))
        table = np.clip(256 * places / len(body), 0, 255).astype(np.uint8).tobytes()
        head = xing(index, frames, len(body), table)
    return LongFile(content=head + body, section_seconds=units[0].section_seconds, order=order)


def xing(name: bytes, frames: int, size: int, table: bytes) -> bytes:
    """Return a frame that is an index of *frames* in *size* bytes."""
    body = name + _EVERYTHING.to_bytes(4) + frames.to_bytes(4) + (size + _INDEX_FRAME_BYTES).to_bytes(4)
    return index_frame(body + table, XING_OFFSET)


def vbri(frames: int, sizes: NDArray[np.int64], frames_each: int) -> bytes:
    """Return a frame with a table of the *sizes* of pieces of *frames_each* frames, 60 to an entry."""
    entries = [int(sizes[at : at + 60].sum()) for at in range(0, len(sizes), 60)]
    total = sum(entries) + _INDEX_FRAME_BYTES
    fields = [(1, 2), (0, 2), (75, 2), (total, 4), (frames, 4), (len(entries), 2), (1, 2), (3, 2)]
    body = b"VBRI" + b"".join(number.to_bytes(size) for number, size in (*fields, (60 * frames_each, 2)))
    return index_frame(body + b"".join(size.to_bytes(3) for size in entries), VBRI_OFFSET)


def index_frame(body: bytes, offset: int) -> bytes:
    """Return a frame of 128 kbit/s with *body* at *offset*."""
    content = b"\xff\xfb\x90\xc4".ljust(offset, b"\0") + body
    return content.ljust(_INDEX_FRAME_BYTES, b"\0")
