"""M4A files of many hours: the index in `moov` is what takes memory, so it alone is made long."""

import io
import struct
from array import array

import av
import numpy as np

RATE = 44_100
FRAME = 1024
"""Samples in a frame of AAC."""


def long_m4a(*, hours: float, frames_per_chunk: int = 1) -> bytes:
    """A minute of noise, which has no tuning, then silence, so that a later window is tried as well.

    The fewer frames a chunk has, the larger is the index.
    """
    short = _short_m4a(seconds=70.0)
    boxes = dict(_boxes(short))
    sizes = array("I", _sizes(boxes[b"moov"]))
    frames = int(hours * 3600 * RATE) // FRAME
    sizes.extend([sizes[-1]] * (frames - len(sizes)))
    media = boxes[b"mdat"][: sum(sizes[: len(sizes)])]
    media = media + media[-sizes[-1] :] * ((sum(sizes) - len(media)) // sizes[-1] + 1)
    head = _box(b"ftyp", boxes[b"ftyp"])
    offsets, at = array("I"), len(head) + 8
    for number, size in enumerate(sizes):
        if number % frames_per_chunk == 0:
            offsets.append(at)
        at += size
    tables = {
        b"stsz": struct.pack(">III", 0, 0, frames) + _big_endian(sizes),
        b"stco": struct.pack(">II", 0, len(offsets)) + _big_endian(offsets),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, frames_per_chunk, 1),
        b"stts": struct.pack(">IIII", 0, 1, frames, FRAME),
    }
    return head + _box(b"mdat", media) + _box(b"moov", _rewritten(boxes[b"moov"], tables))


def _short_m4a(*, seconds: float) -> bytes:
    noise = 0.1 * np.random.default_rng(1).standard_normal(int(seconds * RATE)).astype(np.float32)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        for samples in (noise, np.zeros(8 * FRAME, np.float32)):
            for start in range(0, len(samples) - FRAME + 1, FRAME):
                frame = av.AudioFrame.from_ndarray(samples[None, start : start + FRAME], "fltp", "mono")
                frame.sample_rate = RATE
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at + 8 : at + size]))
        at += size
    return found


def _sizes(moov: bytes) -> list[int]:
    for name, body in _boxes(moov):
        if name == b"stsz":
            return list(struct.unpack_from(f">{struct.unpack_from('>I', body, 8)[0]}I", body, 12))
        if name in _CONTAINERS and (sizes := _sizes(body)):
            return sizes
    return []


_CONTAINERS = (b"trak", b"mdia", b"minf", b"stbl")


def _rewritten(moov: bytes, tables: dict[bytes, bytes]) -> bytes:
    """The box with other tables, and without an edit list, which would end after the old length."""
    return b"".join(
        _box(name, _rewritten(body, tables) if name in _CONTAINERS else tables.get(name, body))
        for name, body in _boxes(moov)
        if name not in {b"edts", b"sgpd", b"sbgp"}
    )


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def _big_endian(numbers: "array[int]") -> bytes:
    swapped = array("I", numbers)
    swapped.byteswap()
    return swapped.tobytes()
