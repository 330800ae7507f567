"""The warnings on the dashboard's overview: what needs an operator, the worst first."""

from collections.abc import Mapping, Sequence

from api.admin.schemas import DependencyView, QueueView, WorkerView
from shared.domain.job_state import JobState

_MAX_LATENCY_SECONDS = 60.0
_MEMORY_SHARE = 0.9


def warnings_of(
    queues: Sequence[QueueView],
    workers: Sequence[WorkerView],
    dependencies: Sequence[DependencyView],
    states: Mapping[JobState, int],
) -> list[str]:
    """One sentence for each problem."""
    warnings = [f"The {one.name} is unavailable." for one in dependencies if not one.answers]
    if not workers:
        warnings.append("No worker is running. Jobs wait until you start one.")
    elif all(worker.draining for worker in workers):
        warnings.append("Every worker is draining. Waiting jobs don't start.")
    warnings += [f"The queue {queue.name} is paused." for queue in queues if queue.paused]
    for queue in queues:
        if not queue.paused and (queue.oldest_seconds or 0.0) > _MAX_LATENCY_SECONDS:
            warnings.append(f"A job in {queue.name} has been waiting for more than a minute.")
    for worker in workers:
        if worker.memory_limit_bytes and worker.memory_bytes > _MEMORY_SHARE * worker.memory_limit_bytes:
            warnings.append(f"The worker {worker.name} uses more than 90 % of its memory.")
    if dead := states.get(JobState.DEAD, 0):
        warnings.append("One job is dead." if dead == 1 else f"{dead:,} jobs are dead.")
    return warnings
