"""The result of one analysis. Its own module, so that maintenance can import it without librosa."""

from dataclasses import dataclass

from shared.domain.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult:
    """The report of one recording, and the memory that the analysis took."""

    report: Report
    memory_peak_bytes: int | None
