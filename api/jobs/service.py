"""What people do to a job, through the API or the dashboard: cancel, retry, delete."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.audio_deletion import discard_audio
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore

_log = get_logger(__name__)


def enqueue(job: Job, queue: JobQueue) -> None:
    """Wake a worker of the job's queue. Blocking.

    A failure is only logged: the job is recorded, and the rescuer enqueues overdue jobs again.
    """
    try:
        queue.enqueue(job.id, queue=job.queue)
    except Unavailable as error:
        _log.warning("enqueue_failed", job_id=job.id, reason=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobActions:
    """Cancel, retry and delete jobs. Blocking."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    attempts: int
    keep_audio: bool
    delete_webhooks: Callable[[str], None]
    """Deletes the deliveries and pending events of the job with this id."""

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued job now, a running one within two seconds. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.cancel(now=store_time()))
        if job.state is JobState.CANCELED and job.source is None and not self.keep_audio:
            discard_audio(job, jobs=self.jobs, audio=self.audio)
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed or dead job again. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.retry(now=store_time(), attempts=self.attempts))
        enqueue(job, self.queue)
        return job

    def delete(self, job_id: str) -> None:
        """Delete the job, its audio and its webhooks, whatever its state. Raises NotFound.

        If storage is unavailable, the rescuer deletes the audio as soon as it can.
        """
        if self.jobs.remove_if(job_id, lambda _: True) is None:
            raise NotFound("The job does not exist. It may have expired.")
        self.delete_webhooks(job_id)
        try:
            self.audio.delete(job_id)
            self.jobs.confirm_audio_deleted(job_id)
        except Unavailable as error:
            _log.warning("audio_delete_failed", job_id=job_id, reason=error.message)
