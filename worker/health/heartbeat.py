"""A worker says every few seconds that it is alive and what it does; a watchdog kills it if it stalls."""

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.jobs import JobStore
from shared.ports.workers import WorkerCommand, WorkerControl, WorkerInfo, WorkerRegistry
from worker.health.cgroups import memory_limit_bytes
from worker.health.check import ailment
from worker.health.memory import process_tree_memory_bytes
from worker.health.watchdog import start_watchdog

BEAT_SECONDS = 3.0

_log = get_logger(__name__)


def worker_name() -> str:
    """What the worker that runs in this process is called."""
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
    """Look at a worker through its records. Raises Unavailable."""
    worker = next((worker for worker in workers.list_alive() if worker.name == name), None)
    idle = controls.paused()  # nobody is unwell for not doing what was forbidden
    served = worker.queues if worker else queues
    if controls.commands().get(name) is WorkerCommand.DRAIN:
        served = ()
    backlogs = [jobs.backlog(queue) for queue in served if queue not in idle]
    return ailment(worker, backlogs, now=time.time(), stalled_seconds=stalled_seconds)


def announce(
    app: Celery, workers: WorkerRegistry, controls: WorkerControl, *, look: Callable[[str], str | None]
) -> None:
    """Add the heartbeat and the watchdog to the workers of an app. `look` takes the worker's name.

    With every beat a worker heeds the order that the operator gave it.
    """

    class Watchdog(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
        """Forked before the pool, while this process has one thread and no child."""

        requires = ("celery.worker.components:Timer",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._pid = 0

        def start(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
            """Let the dog out."""
            name = worker_name()
            self._pid = start_watchdog(lambda: look(name))

        def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
            """A worker that stops in order is not to be killed for it."""
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
        """Runs on the worker's own timer, in the parent: a busy child can't silence it."""

        requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._started_at = self._progress_at = time.time()
            self._seen: object = None
            self._queues: tuple[str, ...] = ()
            self._draining = self._idle_by_order = False
            self._timer: Any = None

        def start(self, parent: Any) -> None:
            """Begin to beat."""
            self._queues = tuple(str(name) for name in parent.app.amqp.queues.consume_from)
            self._timer = parent.timer.call_repeatedly(BEAT_SECONDS, self._beat, (parent,))
            self._beat(parent)

        def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
            """Say goodbye."""
            if self._timer is not None:
                self._timer.cancel()
            try:
                workers.deregister(worker_name())
                controls.clear_command(worker_name())
            except Unavailable as error:
                _log.info("goodbye_unheard", why=error.message)

        def _beat(self, parent: Any) -> None:
            now = time.time()
            done = sum(state.total_count.values())
            current = tuple(sorted(str(request.id) for request in state.active_requests))
            if (done, current) != self._seen or self._idle_by_order:
                self._seen, self._progress_at = (done, current), now
            try:
                self._heed(controls.commands().get(worker_name()), parent)
                self._idle_by_order = self._draining or bool(controls.paused())
                workers.heartbeat(
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
                        memory_bytes=process_tree_memory_bytes(),
                        memory_limit_bytes=memory_limit_bytes(),
                        current_jobs=current,
                        draining=self._draining,
                    )
                )
            except Unavailable as error:
                _log.warning("heartbeat_unheard", why=error.message)

        def _heed(self, order: WorkerCommand | None, parent: Any) -> None:
            if order is WorkerCommand.RESTART:
                _log.info("told_to_restart")
                controls.clear_command(worker_name())
                os.kill(os.getpid(), signal.SIGTERM)
            drain = order is WorkerCommand.DRAIN
            if drain is not self._draining and parent.consumer is not None:
                _log.info("told_to_drain" if drain else "told_to_work_again")
                change = parent.consumer.cancel_task_queue if drain else parent.consumer.add_task_queue
                for queue in self._queues:
                    change(queue)
                self._draining = drain

    app.steps["worker"].add(Watchdog)
    app.steps["worker"].add(Heartbeat)
