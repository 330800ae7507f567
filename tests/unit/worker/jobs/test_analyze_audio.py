import io

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from shared.domain.report import Reason, Verdict
from shared.errors import Undecodable
from tests.support import long_mp3
from tests.support.captured_logs import capture_logs
from worker.jobs.analyze_audio import analyze_audio, analyze_in_sandbox
from worker.sandbox.limits import ChildLimits

RATE = 22_050


def chord(a4_hz: float, seconds: float) -> NDArray[np.float32]:
    time = np.arange(int(seconds * RATE)) / RATE
    notes = [a4_hz * 2 ** (step / 12) for step in (-12, -8, -5, 0, 3)]
    tone = sum(np.sin(2 * np.pi * note * part * time) / part for note in notes for part in (1, 2, 3, 4))
    return (0.05 * np.asarray(tone)).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * RATE), np.float32)


def wav(*parts: NDArray[np.float32]) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, np.concatenate(parts), RATE, format="WAV")
    file.seek(0)
    return file


def test_the_first_window_is_analyzed_if_it_has_music() -> None:
    report = analyze_audio(wav(chord(432, 12), chord(440, 20)), start_seconds=None, window_seconds=10)
    assert report.audio.start_seconds == 0.0
    assert report.audio.analysed_seconds == pytest.approx(10)
    assert report.tuning.a4_hz == pytest.approx(432, abs=0.2)


def test_a_silent_beginning_makes_a_later_window_analyzed() -> None:
    report = analyze_audio(wav(silence(12), chord(432, 30)), start_seconds=None, window_seconds=10)
    assert report.tuning.verdict is Verdict.A432
    assert report.audio.start_seconds == pytest.approx(21, abs=0.1)


def test_a_requested_start_is_the_only_window_analyzed() -> None:
    report = analyze_audio(wav(silence(12), chord(432, 30)), start_seconds=0.0, window_seconds=10)
    assert report.tuning.reason is Reason.SILENT
    assert report.audio.start_seconds == 0.0


def test_a_silent_file_is_reported_by_its_first_window() -> None:
    report = analyze_audio(wav(silence(40)), start_seconds=None, window_seconds=10)
    assert report.tuning.reason is Reason.SILENT
    assert report.audio.start_seconds == 0.0


@pytest.mark.parametrize(("index", "remarks"), [(b"Xing", 1), (b"VBRI", 1), (b"", 0)])
def test_a_start_that_a_coarse_index_gives_is_remarked(index: bytes, remarks: int) -> None:
    audio = io.BytesIO(long_mp3.varying(index).content)
    report = analyze_audio(audio, start_seconds=1_800.0, window_seconds=1)
    assert report.tuning.remarks.count("start_estimated") == remarks


def test_a_truncated_file_is_not_analyzed_further() -> None:
    whole = wav(silence(40)).getvalue()
    report = analyze_audio(io.BytesIO(whole[: len(whole) // 10]), start_seconds=None, window_seconds=10)
    assert report.audio.analysed_seconds < 10


def test_the_sandbox_returns_the_same_report_and_counts_the_bytes() -> None:
    file = wav(chord(440, 12))
    limits = ChildLimits(memory_bytes=256 << 20, cpu_seconds=60, wall_seconds=60)
    direct = analyze_audio(file, start_seconds=None, window_seconds=10)
    heard = analyze_in_sandbox(
        file, start_seconds=None, window_seconds=10, limits=limits, on_tick=lambda: None
    )
    assert heard.report.tuning == direct.tuning
    assert heard.report.audio.bytes_read >= 10 * RATE * 2
    assert heard.memory_peak_bytes is not None
    assert heard.memory_peak_bytes > 0


def test_an_ordinary_bad_file_is_one_line_of_information_without_a_traceback() -> None:
    limits = ChildLimits(cpu_seconds=60, wall_seconds=60, memory_bytes=1 << 30)
    with capture_logs() as logs, pytest.raises(Undecodable):
        analyze_in_sandbox(
            io.BytesIO(b"RIFF" + b"no music at all" * 40),
            start_seconds=None,
            window_seconds=10,
            limits=limits,
            on_tick=lambda: None,
        )
    (line,) = logs.lines()
    assert (line["event"], line["level"], line["code"]) == ("file_rejected", "info", "undecodable")
    assert "Traceback" not in logs.text
