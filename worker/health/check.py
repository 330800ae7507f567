"""Is a worker truly at work? A process that runs may have stopped consuming long ago."""

from collections.abc import Sequence

from shared.ports.jobs import Backlog
from shared.ports.workers import WorkerInfo

SILENT_SECONDS = 30.0


def ailment(
    worker: WorkerInfo | None, backlogs: Sequence[Backlog], *, now: float, stalled_seconds: float
) -> str | None:
    """Why this worker should be restarted; None while it is well.

    Args:
        worker: its last heartbeat; None where there was none lately.
        backlogs: what waits in the queues that it serves.
        now: UNIX seconds.
        stalled_seconds: how long work may wait while the worker neither starts nor ends any.
    """
    if worker is None or worker.seen_at < now - SILENT_SECONDS:
        return "no heartbeat was heard"
    waiting_since = min(
        (backlog.oldest_queued_at for backlog in backlogs if backlog.oldest_queued_at is not None),
        default=now,
    )
    idle_since = max(waiting_since, worker.progress_at)
    if now - idle_since > stalled_seconds:
        return f"work waits, and none was started or ended for {now - idle_since:.0f} s"
    return None
