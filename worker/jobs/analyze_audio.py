"""Audio file to report: decode, measure, and a second look where the first is inconclusive.

`analyze_audio` runs in the child and answers with bytes; callers use `analyze_in_sandbox`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from pydantic import TypeAdapter

from shared.domain.report import AudioFacts, Report, Verdict
from shared.errors import Unanalysable
from shared.observability.logs import get_logger
from worker.decoding.decode import decode
from worker.decoding.window import Recording
from worker.jobs.analysis_result import AnalysisResult
from worker.sandbox.limits import ChildLimits
from worker.sandbox.parent import run_sandboxed
from worker.tuning.estimator import measure_tuning

_log = get_logger(__name__)

_REPORT = TypeAdapter(Report)


def analyze_in_sandbox(
    audio: BinaryIO,
    *,
    start_seconds: float | None,
    window_seconds: float,
    limits: ChildLimits,
    on_tick: Callable[[], None],
) -> AnalysisResult:
    """Listen in a forked child that holds nothing but the audio.

    Raises:
        Unanalysable, Crashed: see worker.sandbox.
    """

    def task(file: BinaryIO) -> bytes:
        return _REPORT.dump_json(
            analyze_audio(file, start_seconds=start_seconds, window_seconds=window_seconds)
        )

    outcome = run_sandboxed(task, audio, limits=limits, on_tick=on_tick)
    if outcome.detail:
        _log.warning("child_failed", detail=outcome.detail)
    report = _REPORT.validate_json(outcome.unwrap())
    facts = replace(report.audio, bytes_read=outcome.bytes_read)
    return AnalysisResult(report=replace(report, audio=facts), memory_peak_bytes=outcome.memory_peak_bytes)


def analyze_audio(audio: BinaryIO, *, start_seconds: float | None, window_seconds: float) -> Report:
    """The report of one window, or of a later one where the first minute tells nothing.

    Raises:
        Unanalysable: there is no audio in the file, or no decoder for it.
    """
    report, recording = _hear(audio, start_seconds or 0.0, window_seconds)
    if report.tuning.verdict is not Verdict.INCONCLUSIVE or start_seconds is not None:
        return report
    # a file that broke off within its first minute has nothing further on, whatever its header says
    if recording.seconds < 0.99 * window_seconds:
        return report
    later = _later_window(recording.duration_seconds, window_seconds)
    if later is None:
        return report
    del recording
    try:
        audio.seek(0)
        second, _ = _hear(audio, later, window_seconds)
    except Unanalysable:
        return report
    return report if second.tuning.verdict is Verdict.INCONCLUSIVE else second


def _hear(audio: BinaryIO, start_seconds: float, window_seconds: float) -> tuple[Report, Recording]:
    began = time.perf_counter()
    recording = decode(audio, start_seconds=start_seconds, window_seconds=window_seconds)
    decoded = time.perf_counter()
    tuning = measure_tuning(recording.samples, recording.sample_rate)
    facts = AudioFacts(
        container=recording.container,
        codec=recording.codec,
        sample_rate=recording.stored_sample_rate,
        channels=recording.channels,
        start_seconds=recording.start_seconds,
        analysed_seconds=len(recording.samples) / recording.sample_rate,
        bytes_read=0,
        decode_seconds=decoded - began,
        analysis_seconds=time.perf_counter() - decoded,
        window_seconds=window_seconds,
    )
    return Report(tuning=tuning, audio=facts), recording


def _later_window(duration_seconds: float | None, window_seconds: float) -> float | None:
    """Where to look again: the middle of what was not heard; where the length is unknown, right after."""
    if duration_seconds is None:
        return window_seconds
    rest = duration_seconds - window_seconds
    if rest < 1.0:
        return None
    return window_seconds + max(0.0, (rest - window_seconds) / 2)
