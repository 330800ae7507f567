"""Runs the analysis of one file in a sandboxed child. Loads no decoder: the child's process has done that."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from pydantic import TypeAdapter

from shared.domain.report import Report
from shared.observability.logs import get_logger
from worker.jobs.analysis_result import AnalysisResult
from worker.sandbox.limits import ChildLimits
from worker.sandbox.parent import run_launched
from worker.sandbox.process import Launch

_log = get_logger(__name__)

REPORT = TypeAdapter(Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What a child is to do with its audio."""

    start_seconds: float | None
    window_seconds: float
    cautious: bool = False
    """Run no decoder that could lose a report that is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxedAnalysis:
    """Analyzes audio in a child that can reach nothing but the audio."""

    window_seconds: float
    limits: ChildLimits
    launcher: Callable[[AnalysisRequest], Launch]

    def __call__(
        self, audio: BinaryIO, *, start_seconds: float | None, on_tick: Callable[[], None]
    ) -> AnalysisResult:
        """Analyze *audio*, a seekable file that only this process reads.

        Args:
            audio: a seekable file.
            start_seconds: where the window begins; None starts at 0 and may try a later window.
            on_tick: called a few times a second; an exception from it stops the child and propagates.

        Raises:
            Unanalysable, Crashed, Unavailable: see worker.sandbox.parent.
        """
        request = AnalysisRequest(start_seconds=start_seconds, window_seconds=self.window_seconds)
        outcome = run_launched(
            self.launcher(request),
            audio,
            limits=self.limits,
            on_tick=on_tick,
            launch_cautious=self.launcher(replace(request, cautious=True)),
        )
        if outcome.detail:
            _log.warning("child_failed", detail=outcome.detail)
        elif outcome.problem is not None:
            _log.info("file_rejected", code=outcome.problem.code, reason=outcome.problem.message)
        report = REPORT.validate_json(outcome.unwrap())
        facts = replace(report.audio, bytes_read=outcome.bytes_read)
        return AnalysisResult(
            report=replace(report, audio=facts), memory_peak_bytes=outcome.memory_peak_bytes
        )
