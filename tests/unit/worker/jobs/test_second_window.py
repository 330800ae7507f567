"""Music that begins late is found in every format, although many only estimate their length."""

import io

import numpy as np
import pytest

from shared.domain.report import Verdict
from tests.support.audio_files import KINDS, encoded, stored_rate
from worker.jobs.analyze_audio import analyze_audio

SILENT_SECONDS = 4.0
SECONDS = 14.0
WINDOW_SECONDS = 3.0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mp3-id3"])
def test_music_after_a_silent_window_is_analyzed(kind: str) -> None:
    rate = stored_rate(kind)
    time = np.arange(int(SECONDS * rate)) / rate
    notes = [432.0 * 2 ** (step / 12) for step in (-12, -8, -5, 0, 3)]
    music = 0.05 * sum(np.sin(2 * np.pi * note * part * time) / part for note in notes for part in (1, 2, 3))
    sound = np.asarray(np.where(time < SILENT_SECONDS, 0.0, music), np.float32)
    file = io.BytesIO(encoded(kind, sound[:, None], rate=rate))
    report = analyze_audio(file, start_seconds=None, window_seconds=WINDOW_SECONDS)
    assert report.tuning.verdict is Verdict.A432
    assert report.audio.start_seconds >= WINDOW_SECONDS
