"""What a change of a job adds to the metrics and to the history. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition


class Measured(Enum):
    """What is counted, or measured."""

    CREATED = auto()
    """A job was recorded, with or without its audio."""
    ACCEPTED = auto()
    """A job was recorded, or its awaited audio has arrived."""
    UPLOADED_BYTES = auto()
    SUBMITTED = auto()
    """The awaited audio has arrived."""
    CACHED = auto()
    """Answered with the report of an earlier analysis."""
    STARTED = auto()
    REQUEUED = auto()
    """An attempt ended without a result."""
    RETRIED = auto()
    """A failed or dead job was queued again by a person or a program."""
    ENDED = auto()
    """Labels: the state, and the code of the problem or nothing."""
    VERDICT = auto()
    """Label: the verdict."""
    WAITING_SECONDS = auto()
    RUNNING_SECONDS = auto()
    TOTAL_SECONDS = auto()
    DECODE_SECONDS = auto()
    ANALYSIS_SECONDS = auto()
    MEMORY_BYTES = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One addition."""

    what: Measured
    at: float
    """UNIX seconds."""
    value: float = 1.0
    labels: tuple[str, ...] = ()


def measure_change(old: Job | None, new: Job) -> list[Measurement]:
    """The measurements of a change; *old* is None for a new job."""
    if old is None:
        return _of_new_job(new)
    known = set(old.timeline)
    added = [transition for transition in new.timeline if transition not in known]
    return [one for transition in added for one in _of_transition(transition, old, new)]


def _of_new_job(job: Job) -> list[Measurement]:
    at = job.created_at
    created = Measurement(what=Measured.CREATED, at=at)
    if job.cached:
        ended = [one for transition in job.timeline for one in _of_end(transition, job)]
        return [created, *_accepted(job, at), Measurement(what=Measured.CACHED, at=at), *ended]
    return [created, *_accepted(job, at)] if job.state is JobState.QUEUED else [created]


def _of_transition(transition: StateTransition, old: Job, new: Job) -> list[Measurement]:
    at = transition.at
    match transition.state:
        case JobState.QUEUED if old.state is JobState.AWAITING_UPLOAD:
            return [Measurement(what=Measured.SUBMITTED, at=at), *_accepted(new, at)]
        case JobState.QUEUED:
            what = Measured.REQUEUED if old.state is JobState.RUNNING else Measured.RETRIED
            return [Measurement(what=what, at=at)]
        case JobState.RUNNING:
            since = max(new.queued_at or 0.0, new.due_at or 0.0) or at
            waited = Measurement(what=Measured.WAITING_SECONDS, at=at, value=max(0.0, at - since))
            return [Measurement(what=Measured.STARTED, at=at), waited]
    found = _of_end(transition, new)
    if old.state is JobState.RUNNING and old.started_at is not None:
        found.append(Measurement(what=Measured.RUNNING_SECONDS, at=at, value=at - old.started_at))
    return found


def _accepted(job: Job, at: float) -> list[Measurement]:
    size_bytes = float(job.input.size_bytes or 0)
    return [
        Measurement(what=Measured.ACCEPTED, at=at),
        Measurement(what=Measured.UPLOADED_BYTES, at=at, value=size_bytes),
    ]


def _of_end(transition: StateTransition, job: Job) -> list[Measurement]:
    at = transition.at
    code = job.problem.code if job.problem and transition.state is not JobState.SUCCEEDED else ""
    values = {Measured.TOTAL_SECONDS: max(0.0, at - job.created_at)}
    if transition.memory_peak_bytes is not None:
        values[Measured.MEMORY_BYTES] = float(transition.memory_peak_bytes)
    found = [Measurement(what=Measured.ENDED, at=at, labels=(transition.state, code))]
    if job.report is not None and transition.state is JobState.SUCCEEDED:
        found.append(Measurement(what=Measured.VERDICT, at=at, labels=(job.report.tuning.verdict,)))
        if not job.cached:
            values[Measured.DECODE_SECONDS] = job.report.audio.decode_seconds
            values[Measured.ANALYSIS_SECONDS] = job.report.audio.analysis_seconds
    return found + [Measurement(what=what, at=at, value=value) for what, value in values.items()]
