"""Estimate how long a queued job will wait, from recent run times. Returns None if it can't tell."""

import math
from dataclasses import dataclass, field

from shared.clock import store_time
from shared.domain.history import TIME_RANGES, merge_buckets
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobStore
from shared.ports.metrics import History
from shared.ports.workers import WorkerControl, WorkerRegistry

_CACHE_SECONDS = 5.0


@dataclass(slots=True)
class _Capacity:
    """What the workers can do. Read at most once per _CACHE_SECONDS, however many clients ask."""

    valid_until: float = 0.0
    slots: int = 0
    run_seconds: float | None = None
    paused_queues: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEstimate:
    """Estimates waiting times. Blocking."""

    jobs: JobStore
    workers: WorkerRegistry
    history: History
    worker_control: WorkerControl
    priority_queue: str
    """The queue whose jobs run before all others."""
    _capacity: _Capacity = field(default_factory=_Capacity)

    def wait_seconds(self, job: Job, position: int | None) -> float | None:
        """Seconds until a queued job starts. None without workers, or if no job ran in the last hour.

        The estimate is the median run time times the number of rounds that all worker slots need to reach
        the job.
        """
        if job.state is not JobState.QUEUED or position is None:
            return None
        capacity = self._read_capacity()
        if not capacity.slots or capacity.run_seconds is None or job.queue in capacity.paused_queues:
            return None
        jobs_before = position
        if job.queue != self.priority_queue:
            jobs_before += self.jobs.backlog(self.priority_queue).waiting
        delay_seconds = max(0.0, (job.due_at or 0.0) - store_time())
        rounds = math.ceil((jobs_before + 1) / capacity.slots)
        return round(max(delay_seconds, rounds * capacity.run_seconds), 1)

    def forget(self) -> None:
        """Read the capacity again before the next estimate."""
        self._capacity.valid_until = 0.0

    def _read_capacity(self) -> _Capacity:
        capacity, now = self._capacity, store_time()
        if now >= capacity.valid_until:
            running = merge_buckets(self.history.read(TIME_RANGES[0], now=now)).quantiles("running")
            capacity.run_seconds = running.p50 if running else None
            capacity.slots = sum(worker.concurrency for worker in self.workers.list_alive())
            capacity.paused_queues = self.worker_control.paused()
            capacity.valid_until = now + _CACHE_SECONDS
        return capacity
