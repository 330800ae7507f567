"""Deletes the audio of a job that no longer needs it. The API, the worker and the rescuer share it."""

from shared.domain.job import Job
from shared.errors import NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobStore

_log = get_logger(__name__)


def discard_audio(job: Job, *, jobs: JobStore, audio: AudioStore) -> None:
    """Delete the audio and record it. A failure is logged only: the rescuer tries again later."""
    try:
        delete_audio(job.id, jobs=jobs, audio=audio)
    except (Unavailable, NotFound) as error:
        _log.warning("audio_delete_failed", job_id=job.id, reason=error.message)


def delete_audio(job_id: str, *, jobs: JobStore, audio: AudioStore) -> None:
    """Delete the audio and record it. Raises NotFound and Unavailable."""
    audio.delete(job_id)
    jobs.change(job_id, Job.mark_audio_deleted)
