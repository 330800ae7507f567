"""Celery's pool of processes, but a machine that can't start one for a while doesn't end the worker.

Celery takes a fork that fails for a lost connection, forgets half of the process, and ends itself over it.
"""

from typing import Any

from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool

from shared.observability.logs import get_logger

_log = get_logger(__name__)


class PatientPool(AsynPool):  # type: ignore[misc]  # Celery ships no types
    """A process that can't be started is started later: Celery looks for missing ones every five seconds."""

    def _create_worker_process(self, i: int) -> Any:
        try:
            while len(self._queues) < self._processes:
                self._queues[self.create_process_queues()] = None
            return super()._create_worker_process(i)
        except OSError as error:
            _log.warning("pool_process_not_started", reason=repr(error))
            self._forget(i)
            return None

    def _forget(self, index: int) -> None:
        """Undo the start of a process. If it runs already, it ends, and is replaced like any other."""
        for process in [process for process in self._pool if getattr(process, "index", index) == index]:
            if process._popen is not None:
                process.terminate()
                continue
            self._pool.remove(process)
            for queues, owner in self._queues.items():
                if owner is process:
                    self._queues[queues] = None

    def _process_cleanup_queues(self, process: Any) -> None:
        try:
            super()._process_cleanup_queues(process)
        except OSError as error:  # the next process that starts makes new queues
            _log.warning("pool_queues_not_made", reason=repr(error))


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The prefork pool with a `PatientPool`."""

    Pool = PatientPool
