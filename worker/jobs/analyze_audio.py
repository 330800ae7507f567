"""Audio file to report: decode, measure, and try a later window if the first is inconclusive.

Runs in the sandbox. The worker itself imports `worker.jobs.sandboxed_analysis`, which loads no decoder.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from shared.domain.report import AudioFacts, Report, Verdict
from shared.errors import Unanalysable
from worker.decoding.decode import decode
from worker.decoding.seeking.measured_duration import measured_duration
from worker.decoding.window import Recording
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.sandboxed_analysis import REPORT, AnalysisRequest, SandboxedAnalysis
from worker.sandbox.limits import ChildLimits
from worker.sandbox.process import launch_by_fork
from worker.tuning.estimator import estimate_tuning


def make_task(request: AnalysisRequest) -> Callable[[BinaryIO], bytes]:
    """Return the task of a sandboxed child: it analyzes audio and returns the report as JSON."""

    def task(audio: BinaryIO) -> bytes:
        report = analyze_audio(
            audio,
            start_seconds=request.start_seconds,
            window_seconds=request.window_seconds,
            cautious=request.cautious,
        )
        return REPORT.dump_json(report)

    return task


def analyze_in_sandbox(
    audio: BinaryIO,
    *,
    start_seconds: float | None,
    window_seconds: float,
    limits: ChildLimits,
    on_tick: Callable[[], None],
) -> AnalysisResult:
    """Analyze *audio* in a fork of this process. See `SandboxedAnalysis`."""
    analyze = SandboxedAnalysis(
        window_seconds=window_seconds,
        limits=limits,
        launcher=lambda request: launch_by_fork(make_task(request)),
    )
    return analyze(audio, start_seconds=start_seconds, on_tick=on_tick)


def analyze_audio(
    audio: BinaryIO, *, start_seconds: float | None, window_seconds: float, cautious: bool = False
) -> Report:
    """Analyze the first window, or a later one if the first is inconclusive.

    With *cautious*, no decoder runs that could lose a report that is there already.

    Raises:
        Unanalysable: the file has no audio, or no decoder can read it.
    """
    decode_window = partial(decode, window_seconds=window_seconds, cautious=cautious)
    report, recording = _analyze_window(decode_window, audio, start_seconds or 0.0, window_seconds)
    if report.tuning.verdict is not Verdict.INCONCLUSIVE or start_seconds is not None or cautious:
        return report
    # A file that ends within its first window has no later window, whatever its header claims.
    if recording.seconds < 0.99 * window_seconds:
        return report
    declared_seconds = recording.duration_seconds
    del recording
    starts = _later_windows(measured_duration(audio) or declared_seconds, window_seconds)
    for start in starts:
        try:
            audio.seek(0)
            second, _ = _analyze_window(decode_window, audio, start, window_seconds)
        except Unanalysable:  # the file is shorter than its header says
            continue
        return report if second.tuning.verdict is Verdict.INCONCLUSIVE else second
    return report


def _analyze_window(
    decode_window: Callable[..., Recording], audio: BinaryIO, start_seconds: float, window_seconds: float
) -> tuple[Report, Recording]:
    began = time.perf_counter()
    recording = decode_window(audio, start_seconds=start_seconds)
    decoded = time.perf_counter()
    tuning = estimate_tuning(recording.samples, recording.sample_rate)
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
        duration_seconds=recording.duration_seconds,
        duration_accuracy=recording.duration_accuracy,
        track=recording.track,
    )
    found = {"damaged": recording.is_damaged, "start_estimated": recording.is_start_estimated}
    remarks = (*tuning.remarks, *(remark for remark, is_found in found.items() if is_found))
    return Report(tuning=replace(tuning, remarks=remarks), audio=facts), recording


def _later_windows(duration_seconds: float | None, window_seconds: float) -> tuple[float, ...]:
    """Starts to try for a second window: the middle of the rest, or right after the first window.

    Many formats only estimate their duration, so that there may be nothing in the middle.
    """
    if duration_seconds is None:
        return (window_seconds,)
    remaining = duration_seconds - window_seconds
    if remaining < 1.0:
        return ()
    middle = window_seconds + max(0.0, (remaining - window_seconds) / 2)
    return (middle,) if middle == window_seconds else (middle, window_seconds)
