"""One job from start to finish, over ports. Knows no Celery: a test calls it."""

from dataclasses import dataclass

from shared.domain.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult:
    """What listening to one recording gave, and what it took."""

    report: Report
    memory_peak_bytes: int | None
