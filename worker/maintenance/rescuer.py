"""Repairs what no message triggers: lost jobs, expired leases, expired jobs, audio of deleted jobs.

Reads only the records, and changes only through them: any number of copies may run at once.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.audio_deletion import delete_audio
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Conflict, NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQueue, JobStore

_log = get_logger(__name__)

_ENQUEUE_GRACE_SECONDS = 3.0
"""The API records a job first and enqueues it a moment later. Until then nothing is wrong."""
_REENQUEUE_SECONDS = 30.0
"""A job is enqueued again only once in this time."""
_BATCH_SIZE = 200
_REPAIR_RETRY_SECONDS = 60.0
_MAX_FAILURES_IN_A_ROW = 3


@dataclass(slots=True, kw_only=True)
class Rescuer:
    """Call `run_once` every few seconds."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    keep_audio: bool
    lease_seconds: float
    retry_seconds: float
    paused_queues: Callable[[], frozenset[str]] = frozenset
    """Their jobs are not enqueued."""
    jitter: Callable[[], float] = random.random
    """From 0 to 1. After the n-th lost attempt, the next waits for 1 to 1 + n times *retry_seconds*."""
    count_failure: Callable[[str], None] = lambda _: None
    """Called with the name of the step for every repair that fails."""
    _enqueued_at: dict[tuple[str, int], float] = field(default_factory=dict)
    """(Job id, attempts) → when it was enqueued here: each attempt may be enqueued at once."""
    _paused: frozenset[str] = frozenset()
    _queued_messages: dict[str, frozenset[str]] = field(default_factory=dict)
    """Queue → ids of the jobs whose messages wait there. Read at most once in each run."""
    _leases_checked_from: float = 0.0
    _retry_at: dict[tuple[str, str], float] = field(default_factory=dict)
    """(Step, job id) → when a repair that failed is tried again."""
    _just_removed: list[str] = field(default_factory=list)
    _failing_steps: set[str] = field(default_factory=set)

    def run_once(self, *, now: float | None = None) -> None:
        """Repair everything that is overdue. A step or a record that fails does not stop the others.

        Raises:
            Unavailable: the job store is unavailable. The next run continues.
        """
        now = store_time() if now is None else now
        self._retry_at = {repair: at for repair, at in self._retry_at.items() if at > now}
        try:
            due = self.jobs.due_work(now=now, limit=_BATCH_SIZE + len(self._retry_at))
        except Unavailable:
            # workers may have been cut off as well: give them time to renew their leases
            self._leases_checked_from = now + self.lease_seconds
            raise
        self._just_removed.clear()
        # expiry comes first: it frees the memory that every other step may need
        self._step("expiry", lambda: self._for_each("expiry", due.expired, self._remove_expired, now))
        if now >= self._leases_checked_from:
            self._step("leases", lambda: self._for_each("leases", due.lease_expired, self._expire_lease, now))
        self._step("enqueue", lambda: self._enqueue_due(due.queued_due, now))
        if not self.keep_audio:
            self._step(
                "audio", lambda: self._for_each("audio", due.audio_to_delete, self._discard_audio, now)
            )
        removed = list(dict.fromkeys([*due.removed, *self._just_removed]))
        self._step("removed", lambda: self._for_each("removed", removed, self._delete_removed, now))

    def _step(self, name: str, run: Callable[[], None]) -> None:
        """Run one step. A failure is counted, and logged when it begins and when it ends."""
        try:
            run()
        except Exception as error:
            self.count_failure(name)
            if name not in self._failing_steps:
                self._failing_steps.add(name)
                reason = error.message if isinstance(error, Unavailable) else repr(error)
                _log.warning("maintenance_step_failed", step=name, reason=reason)
        else:
            if name in self._failing_steps:
                self._failing_steps.discard(name)
                _log.info("maintenance_step_recovered", step=name)

    def _for_each(
        self, step: str, job_ids: Sequence[str], repair: Callable[[str, float], None], now: float
    ) -> None:
        """Repair each job. One that can't be repaired is tried again a minute later.

        Raises Unavailable after several in a row: then a server is unavailable, not one record broken.
        """
        failures = 0
        for job_id in job_ids:
            if (step, job_id) in self._retry_at:
                continue
            try:
                repair(job_id, now)
                failures = 0
            except (NotFound, Conflict):
                continue  # changed or removed in the meantime
            except Exception as error:
                self._retry_at[step, job_id] = now + _REPAIR_RETRY_SECONDS
                self.count_failure(step)
                _log.warning("repair_failed", step=step, job_id=job_id, reason=str(error))
                failures += isinstance(error, Unavailable)
                if failures >= _MAX_FAILURES_IN_A_ROW:
                    raise

    def _enqueue_due(self, job_ids: Sequence[str], now: float) -> None:
        self._enqueued_at = {
            attempt: at for attempt, at in self._enqueued_at.items() if at > now - _REENQUEUE_SECONDS
        }
        self._queued_messages = {}
        self._paused = self.paused_queues()
        self._for_each("enqueue", job_ids, self._enqueue_again, now)

    def _expire_lease(self, job_id: str, now: float) -> None:
        """End the attempt of a worker that is gone, and let the next one wait.

        A worker that dies takes all its jobs with it. If they started together again, one job that kills
        workers would use up the attempts of the others, so each waits for another time.
        """
        jitter = self.jitter()

        def step(job: Job) -> Job:
            if job.state is not JobState.RUNNING or job.lease is None or job.lease.until > now:
                return job
            delay_seconds = self.retry_seconds * (1 + jitter * job.attempts)
            return job.lose_attempt("lease expired", now=now, delay_seconds=delay_seconds)

        job = self.jobs.change(job_id, step)
        _log.warning("lease_expired", job_id=job_id, attempt=job.attempts, state=job.state)

    def _enqueue_again(self, job_id: str, now: float) -> None:
        """Enqueue a job that is queued but has no message in the broker."""
        job = self.jobs.get(job_id)
        if (job_id, job.attempts) in self._enqueued_at:
            return
        if job.state is not JobState.QUEUED or (job.due_at or 0.0) > now - self._grace_seconds(job):
            return
        if job.queue in self._paused:
            return
        if job.queue not in self._queued_messages:
            self._queued_messages[job.queue] = self.queue.enqueued_ids(job.queue)
        if job_id not in self._queued_messages[job.queue]:
            self.queue.enqueue(job_id, queue=job.queue)
            self._enqueued_at[job_id, job.attempts] = now
            _log.info("job_requeued", job_id=job_id, attempts=job.attempts)

    def _grace_seconds(self, job: Job) -> float:
        """Nobody else enqueues a delayed attempt. Any other job was enqueued a moment ago."""
        delayed = job.due_at is not None and job.queued_at is not None and job.due_at > job.queued_at
        return 0.0 if delayed else _ENQUEUE_GRACE_SECONDS

    def _discard_audio(self, job_id: str, _: float) -> None:
        delete_audio(job_id, jobs=self.jobs, audio=self.audio)

    def _remove_expired(self, job_id: str, now: float) -> None:
        """Delete an expired job, unless it was queued again in the meantime. Its audio goes after it."""
        job = self.jobs.remove_if(job_id, lambda job: job.expires_at is not None and job.expires_at <= now)
        if job is not None:
            _log.info("job_expired", job_id=job_id, state=job.state)
            if job.has_audio or job.state is JobState.AWAITING_UPLOAD:
                self._just_removed.append(job_id)

    def _delete_removed(self, job_id: str, _: float) -> None:
        """Delete the audio of a removed job. If this fails, the job stays on the list of removed jobs."""
        self.audio.delete(job_id)
        self.jobs.confirm_audio_deleted(job_id)
