"""`python -m worker healthcheck`: checks the worker on this machine, for a container engine."""

import socket
import sys
from collections.abc import Callable
from functools import partial

from shared.celery_queue import QUEUES
from shared.errors import Unavailable
from shared.services import Services, connect
from shared.settings import Settings, read_settings
from worker.health.heartbeat import diagnose


def diagnosis(settings: Settings, services: Services) -> Callable[[str], str | None]:
    """`diagnose` over these services: takes a worker's name."""
    return partial(
        diagnose,
        jobs=services.jobs,
        workers=services.workers,
        controls=services.worker_control,
        queues=QUEUES,
        stalled_seconds=settings.worker_stall_timeout_seconds,
    )


def check() -> int:
    """0 if a worker of this host is healthy, or if Redis is unavailable, which no restart can fix."""
    settings = read_settings()
    services = connect(settings)
    diagnose_worker = diagnosis(settings, services)
    try:
        names = [
            worker.name for worker in services.workers.list_alive() if worker.host == socket.gethostname()
        ]
        problems = [diagnose_worker(name) for name in names] or ["no worker of this host sends a heartbeat"]
    except Unavailable as error:
        sys.stderr.write(f"unknown: {error.message}\n")
        return 0
    if None in problems:
        return 0
    sys.stderr.write(f"unhealthy: {problems[0]}\n")
    return 1
