"""The warnings on the dashboard's overview: what needs an operator, the worst first."""

from collections.abc import Sequence

from api.admin.schemas import DependencyView, QueueView, WorkerView
from api.http.templating import in_seconds
from shared.clock import MAX_CLOCK_SKEW_SECONDS

_MEMORY_SHARE = 0.9


def warnings_of(
    queues: Sequence[QueueView],
    workers: Sequence[WorkerView],
    dependencies: Sequence[DependencyView],
    *,
    dead_jobs: int,
) -> list[str]:
    """One sentence for each problem. `dead_jobs`: those that no operator has acknowledged."""
    warnings = [f"The {one.name} is unavailable." for one in dependencies if not one.answers]
    if not workers:
        warnings.append("No worker is running. Jobs wait until you start one.")
    elif all(worker.draining for worker in workers):
        warnings.append("Every worker is draining. Waiting jobs don't start.")
    warnings += [f"The queue {queue.name} is paused." for queue in queues if queue.paused]
    for queue in queues:
        if not queue.paused and (queue.oldest_seconds or 0.0) > queue.max_latency_seconds:
            waiting = in_seconds(queue.oldest_seconds)
            warnings.append(f"A job in the queue {queue.name} has been waiting for {waiting}.")
    for worker in workers:
        if worker.memory_limit_bytes and worker.memory_bytes > _MEMORY_SHARE * worker.memory_limit_bytes:
            warnings.append(f"The worker {worker.name} uses more than 90 % of its memory.")
        if abs(worker.clock_skew_seconds) > MAX_CLOCK_SKEW_SECONDS:
            skew = f"{worker.clock_skew_seconds:+.0f} s"
            warnings.append(
                f"The clock of the worker {worker.name} is off by {skew}. Synchronize it with NTP."
            )
    if dead_jobs:
        warnings.append("1 job is dead." if dead_jobs == 1 else f"{dead_jobs:,} jobs are dead.")
    return warnings
