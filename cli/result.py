"""What came out of one recording: a report or a problem."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.job_fields import Problem
from shared.domain.report import Report


@dataclass(frozen=True, slots=True)
class Result:
    """Has either a report with its record, or a problem."""

    name: str
    report: Report | None = None
    record: Mapping[str, object] = field(default_factory=dict)
    """The report as JSON values."""
    problem: Problem | None = None
