"""FLAC is read once, whatever its metadata say."""

import io

import numpy as np
import pytest

from tests.support.audio_files import soundfile_bytes
from tests.support.counting_file import CountingFile
from tests.support.flac_files import with_seek_table
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
