"""Decides whether a worker is healthy. A process can run on long after it stopped taking jobs."""

from collections.abc import Sequence

from shared.ports.jobs import Backlog
from shared.ports.workers import WorkerInfo

SILENT_SECONDS = 30.0


def health_problem(
    worker: WorkerInfo | None, backlogs: Sequence[Backlog], *, now: float, stalled_seconds: float
) -> str | None:
    """Why this worker should be restarted; None while it is healthy.

    Args:
        worker: its last heartbeat, or None if there is no recent one.
        backlogs: the waiting jobs of the queues that it serves.
        now: UNIX seconds.
        stalled_seconds: how long jobs may wait while the worker neither starts nor finishes any.
    """
    if worker is None or worker.seen_at < now - SILENT_SECONDS:
        return "no recent heartbeat"
    waiting_since = min(
        (backlog.oldest_queued_at for backlog in backlogs if backlog.oldest_queued_at is not None),
        default=now,
    )
    idle_since = max(waiting_since, worker.progress_at)
    if now - idle_since > stalled_seconds:
        return f"jobs are waiting, but none was started or finished for {now - idle_since:.0f} s"
    return None
