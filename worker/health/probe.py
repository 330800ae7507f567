"""`python -m worker --healthcheck`: one look at the worker on this machine, for whoever keeps containers."""

import socket
import sys
from functools import partial

from shared.celery_queue import QUEUES
from shared.errors import Unavailable
from shared.services import connect
from shared.settings import read_settings
from worker.health.heartbeat import diagnose


def check() -> int:
    """0 while a worker of this host is well, or while Redis is away, which no restart would mend."""
    settings = read_settings()
    services = connect(settings)
    look = partial(
        diagnose,
        jobs=services.jobs,
        workers=services.workers,
        controls=services.worker_control,
        queues=QUEUES,
        stalled_seconds=settings.stalled_seconds,
    )
    try:
        here = [
            worker.name for worker in services.workers.list_alive() if worker.host == socket.gethostname()
        ]
        ailments = [look(name) for name in here] or ["no worker of this host was heard"]
    except Unavailable as error:
        sys.stderr.write(f"can't tell: {error.message}\n")
        return 0
    if None in ailments:
        return 0
    sys.stderr.write(f"unwell: {ailments[0]}\n")
    return 1
