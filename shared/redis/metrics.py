"""From a change of a job to what it adds to the counts. Pure.

Written with the change itself, so that the numbers are exact: whatever dies, an end is counted once.
"""

from shared import counts
from shared.job import Job
from shared.timeline import JobState


class JobCounts:
    """A follower of RedisJobStore."""

    def __init__(self, *, prefix: str) -> None:
        self._record = prefix + "counts"

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """The commands that count one change."""
        fields = counts_of(old, new)
        return [["HINCRBYFLOAT", self._record, field, repr(amount)] for field, amount in fields.items()]


def counts_of(old: Job | None, new: Job) -> dict[str, float]:
    """What a change adds."""
    fields: dict[str, float] = {}
    if old is not None and old.state is new.state:
        return fields
    if old is None and new.cached:
        fields |= _accepted(new) | counts.counted(counts.CACHED) | _ended(new)
    elif new.state is JobState.QUEUED and (old is None or old.state is JobState.AWAITING_UPLOAD):
        fields |= _accepted(new)
    elif new.state is JobState.QUEUED and old is not None and old.state is JobState.RUNNING:
        fields |= counts.counted(counts.REQUEUED)
    elif new.state is JobState.RUNNING and new.started_at is not None and new.queued_at is not None:
        since = max(new.queued_at, new.due_at or 0.0)
        fields |= counts.measured(counts.WAITING, max(0.0, new.started_at - since))
    elif new.state.is_final:
        fields |= _ended(new)
    return fields


def _accepted(job: Job) -> dict[str, float]:
    size_bytes = float(job.input.size_bytes or 0)
    return counts.counted(counts.ACCEPTED) | counts.counted(counts.UPLOADED, amount=size_bytes)


def _ended(job: Job) -> dict[str, float]:
    code = job.problem.code if job.problem and job.state is not JobState.SUCCEEDED else "none"
    reason = code if code in counts.REASONS else "other"
    fields = counts.counted(counts.FINISHED, job.state, reason)
    if job.finished_at is not None:
        fields |= counts.measured(counts.TOTAL, max(0.0, job.finished_at - job.created_at))
    memory = job.timeline[-1].memory_peak_bytes if job.timeline else None
    if memory is not None:
        fields |= counts.measured(counts.MEMORY, float(memory))
    if job.report is not None and job.state is JobState.SUCCEEDED:
        fields |= counts.counted(counts.VERDICTS, job.report.tuning.verdict)
    if job.report is not None and job.state is JobState.SUCCEEDED and not job.cached:
        fields |= counts.measured(counts.DECODING, job.report.audio.decode_seconds)
        fields |= counts.measured(counts.ANALYSING, job.report.audio.analysis_seconds)
    return fields
