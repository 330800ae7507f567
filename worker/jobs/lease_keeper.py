"""Renews the lease of a running job, and notices when the job is canceled or taken by another worker."""

import time
from collections.abc import Callable

from shared.clock import store_time
from shared.domain.job import Job
from shared.errors import LeaseLost, Unavailable
from shared.ports.jobs import JobStore

_POLL_SECONDS = 0.5
"""How often the job's record is read: a cancel promises to take effect within two seconds."""


class Canceled(Exception):
    """The client no longer wants a result."""


class Stopping(Exception):
    """This worker is shutting down, and its grace period is over."""


class LeaseKeeper:
    """Keeps the lease of one attempt. Call `check` several times a second; most calls do nothing."""

    def __init__(
        self, job: Job, *, jobs: JobStore, lease_seconds: float, is_stopping: Callable[[], bool]
    ) -> None:
        self._job_id = job.id
        self._token = job.attempts
        self._jobs = jobs
        self._lease_seconds = lease_seconds
        self._is_stopping = is_stopping
        now = time.monotonic()
        self._next_poll = now + _POLL_SECONDS
        self._next_renewal = now + lease_seconds / 3
        self._expires = now + lease_seconds

    def check(self) -> None:
        """Renew the lease if it is time, and raise if the attempt must end.

        Raises:
            Canceled: the client canceled the job.
            Stopping: this worker is shutting down.
            LeaseLost: another worker has the job, or the store was unavailable for a whole lease.
        """
        now = time.monotonic()
        if self._is_stopping():
            raise Stopping
        if now < self._next_poll:
            return
        self._next_poll = now + _POLL_SECONDS
        try:
            job = self._renew() if now >= self._next_renewal else self._jobs.get(self._job_id)
        except Unavailable:
            if now > self._expires:
                raise LeaseLost("The job store was unavailable for longer than the lease.") from None
            return
        if now >= self._next_renewal:
            self._next_renewal = now + self._lease_seconds / 3
            self._expires = now + self._lease_seconds
        if job.attempts != self._token:
            raise LeaseLost("Another worker has the job.")
        if job.cancel_requested:
            raise Canceled

    def _renew(self) -> Job:
        return self._jobs.change(
            self._job_id,
            lambda job: job.renew_lease(self._token, now=store_time(), lease_seconds=self._lease_seconds),
        )
