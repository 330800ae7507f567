"""Takes FLAC files apart and puts them together with other metadata."""

import io
from collections.abc import Iterator

import av

STREAMINFO, PADDING, SEEKTABLE, PICTURE = 0, 1, 3, 6


def blocks_of(content: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the metadata blocks of a FLAC file, as (kind, body), and its frames."""
    blocks, at = [], 4
    while True:
        size = int.from_bytes(content[at + 1 : at + 4])
        blocks.append((content[at] & 0x7F, content[at + 4 : at + 4 + size]))
        is_last, at = content[at] >= 0x80, at + 4 + size
        if is_last:
            return blocks, content[at:]


def flac_of(blocks: list[tuple[int, bytes]], frames: bytes) -> bytes:
    """Return a FLAC file."""
    heads = [kind | 0x80 * (number == len(blocks) - 1) for number, (kind, _) in enumerate(blocks)]
    metadata = [
        bytes([head]) + len(body).to_bytes(3) + body for head, (_, body) in zip(heads, blocks, strict=True)
    ]
    return b"fLaC" + b"".join(metadata) + frames


def with_seek_table(content: bytes, *, every_seconds: float) -> bytes:
    """Return *content* with a seek table, as the `flac` program makes it."""
    blocks, frames = blocks_of(content)
    points = b"".join(
        sample.to_bytes(8) + offset.to_bytes(8) + samples.to_bytes(2)
        for sample, offset, samples in _seek_points(content, every_seconds)
    )
    return flac_of([blocks[0], (SEEKTABLE, points), *blocks[1:]], frames)


def _seek_points(content: bytes, every_seconds: float) -> Iterator[tuple[int, int, int]]:
    sample = offset = 0
    due = 0.0
    with av.open(io.BytesIO(content), "r") as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        for packet in container.demux(audio=0):
            if not packet.size or not packet.duration or not packet.time_base:
                continue
            samples = round(packet.duration * packet.time_base * rate)
            if sample >= due:
                yield sample, offset, samples
                due += every_seconds * rate
            sample += samples
            offset += packet.size
