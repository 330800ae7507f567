"""A worker says every few seconds that it is alive, and what it is doing."""

import os
import socket
import time
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from shared.errors import Unavailable
from shared.logs import get_logger
from shared.ports import WorkerInfo, WorkerRegistry

BEAT_SECONDS = 3.0

_log = get_logger(__name__)


def announce(app: Celery, workers: WorkerRegistry) -> None:
    """Add the heartbeat to the workers of an app."""

    class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
        """Runs on the worker's own timer, in the parent: a busy child can't silence it."""

        requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._started_at = time.time()
            self._timer: Any = None

        def start(self, parent: Any) -> None:
            """Begin to beat."""
            self._timer = parent.timer.call_repeatedly(BEAT_SECONDS, self._beat, (parent,))
            self._beat(parent)

        def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery calls it so
            """Say goodbye."""
            if self._timer is not None:
                self._timer.cancel()
            try:
                workers.leave(_name())
            except Unavailable as error:
                _log.info("goodbye_unheard", why=error.message)

        def _beat(self, parent: Any) -> None:
            try:
                workers.beat(
                    WorkerInfo(
                        name=_name(),
                        host=socket.gethostname(),
                        pid=os.getpid(),
                        started_at=self._started_at,
                        seen_at=time.time(),
                        queues=tuple(str(name) for name in parent.app.amqp.queues.consume_from),
                        concurrency=int(parent.concurrency),
                        jobs_done=sum(state.total_count.values()),
                        current_jobs=tuple(str(request.id) for request in state.active_requests),
                    )
                )
            except Unavailable as error:
                _log.warning("heartbeat_unheard", why=error.message)

    app.steps["worker"].add(Heartbeat)


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
