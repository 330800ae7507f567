"""The key under which a report can be reused: the same bytes of one caller, analyzed in the same way. Pure.

All callers without an API key count as one: the report depends on the bytes only.
"""

import hashlib

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import ANALYSIS_VERSION


def report_cache_key(job: Job, *, window_seconds: float) -> str | None:
    """The key of a report that could answer this job; None: no report can."""
    return _key(job, ANALYSIS_VERSION, window_seconds)


def cache_key_of_report(job: Job) -> str | None:
    """The key under which a job's report can answer others; None: it has no reusable report."""
    if job.state is not JobState.SUCCEEDED or job.cached or job.report is None:
        return None
    window_seconds = job.report.audio.window_seconds
    return None if window_seconds is None else _key(job, job.report.tuning.analysis_version, window_seconds)


def _key(job: Job, version: str, window_seconds: float) -> str | None:
    if job.input.sha256 is None:
        return None
    parts = (job.owner, job.input.sha256, job.start_seconds, version, float(window_seconds))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
