"""When two recordings are the same to us: the same bytes of one caller, listened to in the same way. Pure.

Callers without an API key count as one: what a report says follows from the bytes alone.
"""

import hashlib

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import ANALYSIS_VERSION


def report_cache_key(job: Job, *, window_seconds: float) -> str | None:
    """Under which name an earlier analysis would answer this job; None: under none."""
    return _key(job, ANALYSIS_VERSION, window_seconds)


def cache_key_of_report(job: Job) -> str | None:
    """Under which name a job's report may answer others; None: under none, as long as it has none."""
    if job.state is not JobState.SUCCEEDED or job.cached or job.report is None:
        return None
    window_seconds = job.report.audio.window_seconds
    return None if window_seconds is None else _key(job, job.report.tuning.analysis_version, window_seconds)


def _key(job: Job, version: str, window_seconds: float) -> str | None:
    if job.input.sha256 is None:
        return None
    parts = (job.owner, job.input.sha256, job.start_seconds, version, float(window_seconds))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
