"""The second window is where audio really is, whatever a header says or a bit rate makes one guess."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.audio.mpeg_frames import HEADER_BYTES, parse_frame
from shared.domain.report import Verdict
from tests.support.audio_files import encoded
from worker.decoding.seeking.measured_duration import measured_duration
from worker.jobs.analyze_audio import analyze_audio

RATE = 44_100
SILENT_SECONDS, SECONDS = 14, 44
DECLARED_SECONDS = 36_000


def late_music() -> NDArray[np.float32]:
    """Return silence and then a chord at 432 Hz, shape (frames, 1)."""
    time = np.arange((SECONDS - SILENT_SECONDS) * RATE) / RATE
    notes = [432 * 2 ** (step / 12) for step in (-12, -8, -5, 0, 3)]
    chord = sum(np.sin(2 * np.pi * note * part * time) / part for note in notes for part in (1, 2, 3, 4))
    sound = np.concatenate([np.zeros(SILENT_SECONDS * RATE), 0.05 * np.asarray(chord)])
    return sound.astype(np.float32)[:, None]


def mp3_without_index() -> bytes:
    content = encoded("mp3-vbr", late_music(), rate=RATE)
    index = parse_frame(content[:HEADER_BYTES])
    assert index is not None
    return content[index.size_bytes :]


def flac_of_declared_length() -> bytes:
    content = bytearray(encoded("flac", late_music(), rate=RATE))
    fields = int.from_bytes(content[18:26])
    content[18:26] = (fields >> 36 << 36 | DECLARED_SECONDS * RATE).to_bytes(8)
    return bytes(content)


def flv_of_declared_length() -> bytes:
    content = encoded("flv-nellymoser", late_music(), rate=RATE)
    at = content.index(b"duration") + len(b"duration") + 1
    return content[:at] + struct.pack(">d", DECLARED_SECONDS) + content[at + 8 :]


FILES: dict[str, Callable[[], bytes]] = {
    "mp3-vbr-no-index": mp3_without_index,
    "flac-false-total": flac_of_declared_length,
    "aac-adts": lambda: encoded("aac", late_music(), rate=RATE),
    "mp4-fragmented": lambda: encoded("mp4-fragmented", late_music(), rate=RATE),
    "flv-false-total": flv_of_declared_length,
    "m4a": lambda: encoded("m4a", late_music(), rate=RATE),
}


@pytest.mark.parametrize("kind", FILES)
def test_music_after_silence_is_found(kind: str) -> None:
    content = FILES[kind]()
    report = analyze_audio(io.BytesIO(content), start_seconds=None, window_seconds=10)
    assert report.tuning.verdict is Verdict.A432
    assert 10 <= report.audio.start_seconds <= SECONDS - 10


@pytest.mark.parametrize("kind", ["mp3-vbr-no-index", "flac-false-total", "aac-adts", "flv-false-total"])
def test_the_length_is_that_of_the_frames(kind: str) -> None:
    assert measured_duration(io.BytesIO(FILES[kind]())) == pytest.approx(SECONDS, abs=2)


@pytest.mark.parametrize("content", [b"", b"fLaC", b"fLaC" + bytes(100), b"RIFF", b"\xff\xfb\x90\xc4"])
def test_the_length_of_a_damaged_file_is_unknown(content: bytes) -> None:
    assert not measured_duration(io.BytesIO(content))
