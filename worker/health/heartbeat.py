"""A worker records every few seconds that it is alive and what it does. A watchdog kills it if it stalls."""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from shared.clock import clock_skew_seconds, store_time
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.jobs import JobStore
from shared.ports.workers import WorkerCommand, WorkerControl, WorkerInfo, WorkerRegistry
from worker.health.cgroups import memory_limit_bytes
from worker.health.check import health_problem
from worker.health.memory import WorkerMemory
from worker.health.watchdog import start_watchdog
from worker.health_files import remove_health

HEARTBEAT_SECONDS = 3.0

_log = get_logger(__name__)


@cache
def worker_name() -> str:
    """Name of the worker: host and process id of the parent process.

    install_heartbeat calls it before the pool forks. The children inherit the answer, so their jobs carry
    the name under which the worker reports.
    """
    return f"{socket.gethostname()}:{os.getpid()}"


def diagnose(
    name: str,
    *,
    jobs: JobStore,
    workers: WorkerRegistry,
    controls: WorkerControl,
    queues: tuple[str, ...],
    stalled_seconds: float,
) -> str | None:
    """Why a worker is unhealthy by its records; None if it is healthy. Raises Unavailable."""
    jobs.check()  # without writes there are no heartbeats, and a restart would not help
    worker = next((worker for worker in workers.list_alive() if worker.name == name), None)
    paused = controls.paused()  # idle on purpose is healthy
    served = worker.queues if worker else queues
    if controls.commands().get(name) is WorkerCommand.DRAIN:
        served = ()
    backlogs = [jobs.backlog(queue) for queue in served if queue not in paused]
    return health_problem(worker, backlogs, now=store_time(), stalled_seconds=stalled_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReporting:
    """What a worker reports with, and what it asks about itself."""

    workers: WorkerRegistry
    controls: WorkerControl
    diagnose_worker: Callable[[str], str | None]
    """Takes the worker's name."""
    bytes_arrived_at: Callable[[], float] = lambda: 0.0


def install_heartbeat(app: Celery, reporting: HealthReporting) -> None:
    """Add a heartbeat and a watchdog to the workers of *app*.

    A worker makes progress when it starts or finishes a job, and when `bytes_arrived_at` changes.

    With every heartbeat a worker follows the command that the operator sent to it.
    """
    worker_name()
    for step in (_Watchdog, _Heartbeat):
        app.steps["worker"].add(type(step.__name__, (step,), {"reporting": reporting}))


class _Watchdog(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Forked before the pool, while this process has one thread and no child."""

    reporting: HealthReporting
    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._pid = 0

    def start(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
        """Start the watchdog."""
        name = worker_name()
        self._pid = start_watchdog(lambda: self.reporting.diagnose_worker(name))

    def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
        """Stop the watchdog: an orderly shutdown must not be killed."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        remove_health(os.getpid())


class _Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Runs on the timer of the parent process: a busy child cannot delay it."""

    reporting: HealthReporting
    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._started_at = self._progress_at = store_time()
        self._last_progress: object = None
        self._queues: tuple[str, ...] = ()
        self._draining = self._expected_idle = False
        self._timer: Any = None
        self._memory = WorkerMemory()

    def start(self, parent: Any) -> None:
        """Start the heartbeat."""
        self._queues = tuple(str(name) for name in parent.app.amqp.queues.consume_from)
        self._timer = parent.timer.call_repeatedly(HEARTBEAT_SECONDS, self._beat, (parent,))
        self._beat(parent)

    def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
        """Remove this worker from the registry."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            self.reporting.workers.deregister(worker_name())
            self.reporting.controls.clear_command(worker_name())
        except Unavailable as error:
            _log.info("deregister_failed", reason=error.message)

    def _beat(self, parent: Any) -> None:
        now = store_time()
        done = sum(state.total_count.values())
        current = tuple(sorted(str(request.id) for request in state.active_requests))
        progress = (done, current, self.reporting.bytes_arrived_at())
        if progress != self._last_progress or self._expected_idle:
            self._last_progress, self._progress_at = progress, now
        try:
            self._apply(self.reporting.controls.commands().get(worker_name()), parent)
            self._expected_idle = self._draining or bool(self.reporting.controls.paused())
            self.reporting.workers.heartbeat(
                WorkerInfo(
                    name=worker_name(),
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    started_at=self._started_at,
                    seen_at=now,
                    queues=self._queues,
                    concurrency=int(parent.concurrency),
                    jobs_done=done,
                    progress_at=self._progress_at,
                    memory_bytes=self._memory.current_bytes(),
                    memory_limit_bytes=memory_limit_bytes(),
                    current_jobs=current,
                    clock_skew_seconds=round(clock_skew_seconds(), 3),
                    draining=self._draining,
                )
            )
        except Unavailable as error:
            _log.warning("heartbeat_failed", reason=error.message)

    def _apply(self, command: WorkerCommand | None, parent: Any) -> None:
        if command is WorkerCommand.RESTART:
            _log.info("restart_requested")
            self.reporting.controls.clear_command(worker_name())
            os.kill(os.getpid(), signal.SIGTERM)
        drain = command is WorkerCommand.DRAIN
        if drain is not self._draining and parent.consumer is not None:
            _log.info("drain_started" if drain else "drain_ended")
            change = parent.consumer.cancel_task_queue if drain else parent.consumer.add_task_queue
            for queue in self._queues:
                change(queue)
            self._draining = drain
