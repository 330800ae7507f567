"""Rings for a job that is recorded. A bell that is broken is no failure: the rescuer rings later."""

from shared.errors import Unavailable
from shared.job import Job
from shared.logs import get_logger
from shared.ports import JobQueue

_log = get_logger(__name__)


def ring(job: Job, queue: JobQueue) -> None:
    """Tell the workers of the job's queue. Blocking."""
    try:
        queue.submit(job.id, queue=job.queue)
    except Unavailable as error:
        _log.warning("not_rung", job_id=job.id, why=error.message)
