"""The states of a job and its timeline. shared/domain/job.py has the transitions. Pure."""

from dataclasses import dataclass

from shared.domain.open_enum import OpenEnum

MAX_TIMELINE = 64


class JobState(OpenEnum):
    """The state of a job."""

    AWAITING_UPLOAD = "awaiting_upload"
    """Created by POST /v1/uploads; left when its audio arrives, or by expiry."""
    QUEUED = "queued"
    """Entered by submit, retry, or an attempt without a result; left when a worker starts it."""
    RUNNING = "running"
    """Entered by a worker that took the lease; left by that worker, or by the rescuer when it expires."""
    SUCCEEDED = "succeeded"
    """Entered by the lease holder, with a report; or at once, with the report of an earlier analysis."""
    FAILED = "failed"
    """Entered by the lease holder, with a problem of the recording."""
    CANCELED = "canceled"
    """Entered by the client; at once if queued, by the lease holder if running."""
    DEAD = "dead"
    """Entered when the last allowed attempt ended without a result."""

    @property
    def is_final(self) -> bool:
        """Whether only a retry can change the job."""
        return self in _FINAL


_FINAL = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTransition:
    """One line of a job's timeline."""

    at: float
    state: JobState
    attempt: int
    worker: str | None = None
    memory_peak_bytes: int | None = None
    why: str | None = None


def append_transition(
    timeline: tuple[StateTransition, ...], event: StateTransition
) -> tuple[StateTransition, ...]:
    """Append a transition. If there are too many, the first and the latest are kept."""
    return (*timeline[:1], *timeline[1:][-(MAX_TIMELINE - 2) :], event)
