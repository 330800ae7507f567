"""Rings for a job that is recorded. A bell that is broken is no failure: the rescuer rings later."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.audio_deletion import discard_audio
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore

_log = get_logger(__name__)


def enqueue(job: Job, queue: JobQueue) -> None:
    """Tell the workers of the job's queue. Blocking."""
    try:
        queue.enqueue(job.id, queue=job.queue)
    except Unavailable as error:
        _log.warning("not_rung", job_id=job.id, why=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobActions:
    """What people do to jobs, whether by the API or in the dashboard. Blocking."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    attempts: int
    keep_audio: bool
    forget_webhooks: Callable[[str], None]
    """What was said of a job to others, and what waits to be said."""

    def cancel(self, job_id: str) -> Job:
        """Cancel at once if it waits, within two seconds if it runs. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.cancel(now=time.time()))
        if job.state is JobState.CANCELED and job.source is None and not self.keep_audio:
            discard_audio(job, jobs=self.jobs, audio=self.audio)
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed or dead job again. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.retry(now=time.time(), attempts=self.attempts))
        enqueue(job, self.queue)
        return job

    def delete(self, job_id: str) -> None:
        """Forget the job, its audio and its webhooks, whatever its state. Raises NotFound."""
        self.jobs.get(job_id)
        self.jobs.remove(job_id)
        self.audio.delete(job_id)
        self.forget_webhooks(job_id)
