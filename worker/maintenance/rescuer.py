"""What no message will ever cause: lost jobs, expired leases, expired jobs, orphaned audio.

Looks at the records alone, and every change goes through them: any number of copies may run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Conflict, NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore
from shared.ports.uploads import UploadRegistry
from worker.jobs.run_attempt import discard_audio

_log = get_logger(__name__)

_GRACE_SECONDS = 3.0
"""Between recording a job and ringing for it lies a moment in which nothing is wrong."""
_RING_AGAIN_SECONDS = 30.0
_MOST = 200


@dataclass(slots=True, kw_only=True)
class Rescuer:
    """Call `round` every few seconds."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    uploads: UploadRegistry
    keep_audio: bool
    lease_seconds: float
    retry_seconds: float
    orphan_seconds: float
    paused: Callable[[], frozenset[str]] = frozenset
    """The queues that nobody is to be rung for."""
    _rung_at: dict[str, float] = field(default_factory=dict)
    _paused: frozenset[str] = frozenset()
    _announced: dict[str, frozenset[str]] = field(default_factory=dict)
    _leases_count_from: float = 0.0
    _orphans_due_at: float = 0.0

    def round(self, *, now: float | None = None) -> None:
        """Mend what is overdue. Raises Unavailable where a server is away; the next round goes on."""
        now = time.time() if now is None else now
        try:
            chores = self.jobs.due_work(now=now, limit=_MOST)
            if now >= self._leases_count_from:
                self._each(chores.lease_expired, self._end_lease, now)
            self._rung_at = {job: at for job, at in self._rung_at.items() if at > now - _RING_AGAIN_SECONDS}
            self._announced = {}
            self._paused = self.paused()
            self._each(chores.queued_due, self._requeue, now)
            self._each(chores.expired, self._expire, now)
            if not self.keep_audio:
                self._each(chores.audio_to_delete, self._discard_audio, now)
            if now >= self._orphans_due_at:
                self._orphans_due_at = now + self.orphan_seconds / 4
                self._remove_orphans(now)
        except Unavailable:
            # workers that were cut off as well deserve the time to renew before they are called dead
            self._leases_count_from = now + self.lease_seconds
            raise

    def _each(self, job_ids: tuple[str, ...], mend: Callable[[str, float], None], now: float) -> None:
        """One record that can't be mended must not keep the others from it."""
        for job_id in job_ids:
            try:
                mend(job_id, now)
            except Unavailable:
                raise
            except (NotFound, Conflict):
                continue  # changed or removed under our hands
            except Exception:
                _log.exception("not_mended", job_id=job_id)

    def _end_lease(self, job_id: str, now: float) -> None:
        def step(job: Job) -> Job:
            if job.state is not JobState.RUNNING or job.lease is None or job.lease.until > now:
                return job
            return job.lose_attempt("the worker vanished", now=now, delay_seconds=self.retry_seconds)

        job = self.jobs.change(job_id, step)
        _log.warning("lease_expired", job_id=job_id, attempt=job.attempts, state=job.state)

    def _requeue(self, job_id: str, now: float) -> None:
        """Submit a job that waits without a message in the broker."""
        if job_id in self._rung_at:
            return
        job = self.jobs.get(job_id)
        if job.state is not JobState.QUEUED or (job.due_at or 0.0) > now - self._patience(job):
            return
        if job.queue in self._paused:
            return
        if job.queue not in self._announced:
            self._announced[job.queue] = self.queue.enqueued_ids(job.queue)
        if job_id not in self._announced[job.queue]:
            self.queue.enqueue(job_id, queue=job.queue)
            self._rung_at[job_id] = now
            _log.info("rung_again", job_id=job_id, attempts=job.attempts)

    def _patience(self, job: Job) -> float:
        """A delayed attempt was never rung for; anything else was, a moment ago."""
        delayed = job.due_at is not None and job.queued_at is not None and job.due_at > job.queued_at
        return 0.0 if delayed else _GRACE_SECONDS

    def _discard_audio(self, job_id: str, _: float) -> None:
        discard_audio(self.jobs.get(job_id), jobs=self.jobs, audio=self.audio)

    def _expire(self, job_id: str, now: float) -> None:
        job = self.jobs.get(job_id)
        if job.expires_at is None or job.expires_at > now:
            return
        self.audio.delete(job_id)
        self.jobs.remove(job_id)
        _log.info("job_expired", job_id=job_id, state=job.state)

    def _remove_orphans(self, now: float) -> None:
        # asked first: an upload leaves this list only after its job is recorded
        alive = {upload.id for upload in self.uploads.list_alive()}
        for found in self.audio.list_older_than(before=now - self.orphan_seconds):
            job_id = found.key.partition(".")[0]  # what follows names a piece of it
            if job_id in alive:
                continue
            try:
                job = self.jobs.get(job_id)
                needed = job.state is JobState.AWAITING_UPLOAD or (found.multipart is None and job.has_audio)
            except NotFound:
                needed = False
            if not needed:
                self.audio.discard(found)
                _log.info("orphan_removed", key=found.key, unfinished=found.multipart is not None)
