"""FLAC is read once, and without its pictures."""

import io

import numpy as np
import pytest

from shared.errors import Undecodable
from tests.support.audio_files import audio_file, id3_tag, soundfile_bytes
from tests.support.counting_file import CountingFile
from tests.support.flac_files import PADDING, PICTURE, blocks_of, flac_of, with_seek_table
from worker.decoding.decode import decode
from worker.sandbox.child import BUFFER_BYTES

RATE = 96_000
SECONDS = 20


@pytest.fixture(scope="module")
def flac() -> bytes:
    """Return twenty seconds of noise in 24 bits at 96 kHz."""
    noise = np.random.default_rng(1).standard_normal((SECONDS * RATE, 2)) * 0.01
    return soundfile_bytes(noise.astype(np.float32), rate=RATE, container="FLAC", codec="PCM_24")


@pytest.mark.parametrize("start", [0.0, 7.0])
def test_a_flac_with_a_seek_table_is_read_once(flac: bytes, start: float) -> None:
    content = with_seek_table(flac, every_seconds=1)
    file = CountingFile(content)
    recording = decode(io.BufferedReader(file, BUFFER_BYTES), start_seconds=start, window_seconds=10)
    assert recording.seconds == pytest.approx(10)
    assert file.bytes_read < len(content) * 10 / SECONDS + (1 << 20)


@pytest.mark.parametrize("start", [0.0, 7.0])
@pytest.mark.parametrize("tag", [b"", id3_tag([(b"TIT2", b"\0A song")])])
def test_pictures_are_not_read(flac: bytes, tag: bytes, start: float) -> None:
    blocks, frames = blocks_of(with_seek_table(flac, every_seconds=1))
    content = tag + flac_of([*blocks, (PICTURE, bytes(6_000_000)), (PADDING, bytes(100))], frames)
    file = CountingFile(content)
    recording = decode(io.BufferedReader(file, BUFFER_BYTES), start_seconds=start, window_seconds=10)
    assert recording.seconds == pytest.approx(10)
    assert recording.duration_seconds == pytest.approx(SECONDS)
    assert file.bytes_read < len(flac) * 10 / SECONDS + (2 << 20)
    plain = decode(io.BytesIO(flac), start_seconds=start, window_seconds=10)
    assert np.array_equal(plain.samples, recording.samples)


def test_metadata_without_an_end_are_a_problem(flac: bytes) -> None:
    blocks, _ = blocks_of(flac)
    content = flac_of([blocks[0], *[(PADDING, bytes(100_000))] * 3], b"")
    with pytest.raises(Undecodable):
        decode(io.BytesIO(content), start_seconds=0, window_seconds=10)


def test_the_cover_of_an_m4a_is_not_read() -> None:
    content = bytearray(audio_file("m4a", seconds=20))
    index = content.rindex(b"moov") - 4
    cover = b"covr".join([(3_000_024).to_bytes(4), (3_000_016).to_bytes(4) + b"data" + bytes(3_000_008)])
    tags = (len(cover) + 8).to_bytes(4) + b"udta" + cover
    content[index : index + 4] = (len(content) - index + len(tags)).to_bytes(4)
    file = CountingFile(bytes(content) + tags)
    recording = decode(io.BufferedReader(file, BUFFER_BYTES), start_seconds=5, window_seconds=10)
    assert recording.seconds == pytest.approx(10)
    assert file.bytes_read < 1_500_000
