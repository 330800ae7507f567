"""MP3 and ADTS: a false index and damage between frames don't lead to another place."""

import io
from contextlib import suppress

import numpy as np
import pytest

from shared.errors import Undecodable
from tests.support import long_mp3
from tests.support.audio_files import audio_file, id3_tag
from tests.support.counting_file import CountingFile
from tests.support.format_files import format_file
from tests.support.long_files import LongFile
from worker.decoding.byte_source import ByteSource
from worker.decoding.decode import decode
from worker.decoding.seeking.frame_stream import FrameStream
from worker.sandbox.child import BUFFER_BYTES

SECONDS = 120
MANY = (1 << 32) - 1


def xing(frames: int, size: int, table: bytes = bytes(range(0, 200, 2))) -> bytes:
    body = b"Xing" + (7).to_bytes(4) + frames.to_bytes(4) + size.to_bytes(4) + table
    return long_mp3.index_frame(body, long_mp3.XING_OFFSET)


def vbri(frames: int, size: int, count: int, scale: int, entry_bytes: int, entry_frames: int) -> bytes:
    fields = [(1, 2), (0, 2), (0, 2), (size, 4), (frames, 4), (count, 2), (scale, 2)]
    fields += [(entry_bytes, 2), (entry_frames, 2)]
    body = b"VBRI" + b"".join(number.to_bytes(length) for number, length in fields)
    return long_mp3.index_frame(body + bytes(range(200)), long_mp3.VBRI_OFFSET)


FALSE_INDEXES = {
    "no frames": xing(0, 2_000_000),
    "one frame": xing(1, 2_000_000),
    "many frames": xing(MANY, 2_000_000),
    "no bytes": xing(5_000, 0),
    "many bytes": xing(5_000, MANY),
    "many of both": xing(MANY, MANY),
    "a table that goes back": xing(9_000, 2_000_000, np.random.default_rng(1).bytes(100)),
    "a table of zeros": xing(9_000, 2_000_000, bytes(100)),
    "a cut table": xing(9_000, 2_000_000, b"\1\2\3"),
    "many entries": vbri(9_000, 2_000_000, 65_535, 1, 2, 100),
    "no entries": vbri(9_000, 2_000_000, 0, 1, 2, 100),
    "entries without bytes": vbri(9_000, 2_000_000, 50, 1, 0, 100),
    "entries past the end": vbri(9_000, 2_000_000, 50, 65_535, 4, 65_535),
    "entries of no frames": vbri(9_000, 2_000_000, 50, 65_535, 4, 0),
}


def away_at(file: LongFile, content: bytes, *, start: float) -> float:
    recording = decode(io.BytesIO(content), start_seconds=start, window_seconds=10)
    assert recording.start_seconds == pytest.approx(start, abs=0.1)
    return abs(file.offset_of(recording.samples, recording.sample_rate, start=start))


@pytest.mark.parametrize("name", FALSE_INDEXES)
def test_a_false_index_does_not_move_the_window_of_a_constant_bit_rate(name: str) -> None:
    file = long_mp3.constant(head=FALSE_INDEXES[name], seconds=SECONDS)
    assert away_at(file, file.content, start=100) < 0.07


@pytest.mark.parametrize("name", FALSE_INDEXES)
def test_a_false_index_of_a_varying_bit_rate_ends_as_a_result_or_a_problem(name: str) -> None:
    content = FALSE_INDEXES[name] + long_mp3.varying().content[: 3 << 20]
    with suppress(Undecodable):
        assert decode(io.BytesIO(content), start_seconds=100, window_seconds=10).seconds > 0


@pytest.mark.parametrize("junk", [bytes(300_000), b"\xff" * 300_000, b"\xff\xfb\x90\xc4" * 3_000])
def test_junk_between_frames_is_stepped_over(junk: bytes) -> None:
    file = long_mp3.constant(seconds=SECONDS)
    cut = len(file.content) // 2
    content = file.content[:cut] + junk + file.content[cut:]
    recording = decode(io.BytesIO(content), start_seconds=100, window_seconds=10)
    assert recording.seconds == pytest.approx(10)
    # The bytes of the junk count as audio in a computation, but no others do.
    assert away_at(file, content, start=30) < 0.07


def test_frames_without_padding_are_found_by_their_own_size() -> None:
    file = long_mp3.constant(seconds=SECONDS)
    stream = FrameStream(ByteSource(io.BytesIO(file.content)).read_range, start=0, end=len(file.content))
    frames = [(at, frame.size_bytes) for at, frame in stream._frames(0, len(file.content))]
    content = b"".join(
        file.content[at : at + 2] + bytes([file.content[at + 2] & 0xFD]) + file.content[at + 3 : at + 417]
        for at, _ in frames
    )
    assert {size for _, size in frames} == {417, 418}
    assert away_at(file, content, start=100) < 0.07


@pytest.mark.parametrize("kind", ["ac3", "eac3"])
def test_a_start_past_the_end_of_ac3_tells_the_length(kind: str) -> None:
    content = audio_file("ac3", seconds=9.0) if kind == "ac3" else format_file("eac3")
    with pytest.raises(Undecodable, match="ends"):
        decode(io.BytesIO(content), start_seconds=600, window_seconds=10)


def test_leading_tags_and_covers_are_not_read() -> None:
    file = long_mp3.constant(seconds=SECONDS)
    content = id3_tag([(b"APIC", bytes(6_000_000))]) + file.content
    for start in (0, 100):
        counting = CountingFile(content)
        decode(io.BufferedReader(counting, BUFFER_BYTES), start_seconds=start, window_seconds=10)
        assert counting.bytes_read < 2_000_000


@pytest.mark.parametrize("index", [b"", b"Xing", b"VBRI"])
def test_the_length_of_a_varying_bit_rate_is_measured(index: bytes) -> None:
    content = long_mp3.varying(index).content
    stream = FrameStream(ByteSource(io.BytesIO(content)).read_range, start=0, end=len(content))
    assert stream.duration_seconds == pytest.approx(7_200, rel=0.02 if index else 0.15)
