"""How long a job will probably wait, from how long jobs ran lately. Says nothing where it can't tell."""

import math
import time
from dataclasses import dataclass, field

from shared.domain.history import TIME_RANGES, merge_buckets
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobStore
from shared.ports.metrics import History
from shared.ports.workers import WorkerControl, WorkerRegistry

_KNOWN_SECONDS = 5.0
"""What is known of workers and run times is looked up so often, however many clients ask."""


@dataclass(slots=True)
class _Pace:
    """Workers as they were a moment ago."""

    known_until: float = 0.0
    slots: int = 0
    run_seconds: float | None = None
    paused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEstimate:
    """Blocking."""

    jobs: JobStore
    workers: WorkerRegistry
    history: History
    controls: WorkerControl
    first_queue: str
    """Its jobs go before those of all others."""
    _pace: _Pace = field(default_factory=_Pace)

    def wait_seconds(self, job: Job, position: int | None) -> float | None:
        """Seconds until a queued job is started; None where nobody works, or nothing ran in the last hour.

        The median run time, once for each round that all workers' slots make before it is the job's turn.
        """
        if job.state is not JobState.QUEUED or position is None:
            return None
        pace = self._known()
        if not pace.slots or pace.run_seconds is None or job.queue in pace.paused:
            return None
        before = position
        if job.queue != self.first_queue:
            before += self.jobs.backlog(self.first_queue).waiting
        delayed = max(0.0, (job.due_at or 0.0) - time.time())
        return round(max(delayed, math.ceil((before + 1) / pace.slots) * pace.run_seconds), 1)

    def _known(self) -> _Pace:
        pace, now = self._pace, time.time()
        if now >= pace.known_until:
            running = merge_buckets(self.history.read(TIME_RANGES[0], now=now)).quantiles("running")
            pace.run_seconds = running.p50 if running else None
            pace.slots = sum(worker.concurrency for worker in self.workers.list_alive())
            pace.paused = self.controls.paused()
            pace.known_until = now + _KNOWN_SECONDS
        return pace
