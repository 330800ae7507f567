"""Reads jobs for responses, and waits until they are final."""

import time
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from api.jobs.schemas import JobDetailView
from api.jobs.updates import JobUpdates
from api.jobs.wait_estimate import WaitEstimate
from api.webhooks.service import WebhookService
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobStore
from shared.schemas.job import JobView

_REREAD_SECONDS = 5.0
"""How often a waiting request reads the job, although no update arrived: the connection may have lost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReader:
    """Reads one job at a time."""

    jobs: JobStore
    updates: JobUpdates
    webhooks: WebhookService
    wait_estimate: WaitEstimate

    def detail(self, job: Job, *, pictures: bool = True) -> JobDetailView:
        """Return the whole view. Blocking. *pictures*: with the histogram and the spectrum."""
        position = self.jobs.queue_position(job) if job.state is JobState.QUEUED else None
        wait_seconds = self.wait_estimate.wait_seconds(job, position)
        view = JobView.of(job, queue_position=position, queue_wait_seconds=wait_seconds)
        if not pictures:
            view = view.without_pictures()
        return JobDetailView.with_deliveries(view, self.webhooks.deliveries_of_job(job))

    async def wait_until_final(self, job_id: str, *, seconds: float) -> Job:
        """Return the job when it is final, or as it is after *seconds*. Raises NotFound."""
        deadline = time.monotonic() + seconds
        with self.updates.subscribe(job_id) as subscription:
            while True:
                subscription.clear()
                job = await run_in_threadpool(self.jobs.get, job_id)
                remaining = deadline - time.monotonic()
                if job.state.is_final or remaining <= 0 or subscription.closing:
                    return job
                await subscription.wait(min(_REREAD_SECONDS, remaining))
