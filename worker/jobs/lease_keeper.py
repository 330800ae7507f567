"""What beats while a job runs: it keeps the job's lease, and notices that the job is wanted no more."""

import time
from collections.abc import Callable

from shared.domain.job import Job
from shared.errors import LeaseLost, Unavailable
from shared.ports.jobs import JobStore

_LOOK_SECONDS = 0.5
"""How often a running job is asked whether it was canceled: cancel promises two seconds."""


class Canceled(Exception):
    """The client wants no result any more."""


class Stopping(Exception):
    """This worker was told to stop, and the time to finish is over."""


class LeaseKeeper:
    """Of one attempt. To be called several times a second, and cheap as often as that."""

    def __init__(
        self, job: Job, *, jobs: JobStore, lease_seconds: float, stopping: Callable[[], bool]
    ) -> None:
        self._job_id = job.id
        self._token = job.attempts
        self._jobs = jobs
        self._lease_seconds = lease_seconds
        self._stopping = stopping
        now = time.monotonic()
        self._next_look = now + _LOOK_SECONDS
        self._next_renewal = now + lease_seconds / 3
        self._lost_at = now + lease_seconds

    def __call__(self) -> None:
        """Raises Canceled, Stopping, LeaseLost."""
        now = time.monotonic()
        if self._stopping():
            raise Stopping
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        try:
            job = self._renew() if now >= self._next_renewal else self._jobs.get(self._job_id)
        except Unavailable:
            if now > self._lost_at:
                raise LeaseLost("The job store was away for longer than the lease.") from None
            return
        if now >= self._next_renewal:
            self._next_renewal = now + self._lease_seconds / 3
            self._lost_at = now + self._lease_seconds
        if job.attempts != self._token:
            raise LeaseLost("Another worker has the job.")
        if job.cancel_requested:
            raise Canceled

    def _renew(self) -> Job:
        return self._jobs.change(
            self._job_id,
            lambda job: job.renew_lease(self._token, now=time.time(), lease_seconds=self._lease_seconds),
        )
