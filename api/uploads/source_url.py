"""Jobs whose audio is at a URL. The URL is checked and recorded here; a worker fetches it."""

from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.access.url_checker import UrlChecker
from api.jobs.service import enqueue
from api.uploads.idempotency import Idempotency, key_reused
from api.uploads.job_factory import JobFactory
from api.uploads.options import JobOptions, JobSource
from api.uploads.service import accepted
from shared.domain.job import Job
from shared.domain.source import Source
from shared.errors import AddressRefused, Conflict
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.jobs import JobQueue, JobStore

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUrlService:
    """Makes jobs of URLs."""

    jobs: JobStore
    queue: JobQueue
    factory: JobFactory
    idempotency: Idempotency
    urls: UrlChecker
    counts_as_bytes: int
    """What one URL takes of its caller's daily bytes: its size is not known yet."""

    async def submit(
        self, request: Request, caller: Caller, options: JobSource, raw: bytes, quota: QuotaReservation
    ) -> Response:
        """Record a job and enqueue it. *raw*: the body. Raises AddressRefused, BadRequest, LimitReached."""

        async def create(job_id: str) -> Response:
            bind_log_context(job_id=job_id)
            job = await self.new_job(job_id, options.source_url or "", options, caller)
            job = await run_in_threadpool(self._record, job, quota)
            _log.info("job_accepted", source=job.source.server if job.source else None)
            return accepted(job)

        return await self.idempotency.run(request, caller, raw, create)

    async def new_job(self, job_id: str, url: str, options: JobOptions, caller: Caller) -> Job:
        """Build the job, not yet recorded. Raises AddressRefused, BadRequest, Overloaded."""
        source = Source.from_url(await self._checked(url, caller))
        callback = await self.factory.callback(options, caller)
        return self.factory.queued(job_id, caller, options, source, callback)

    def _record(self, job: Job, quota: QuotaReservation) -> Job:
        quota.admit(self.counts_as_bytes)
        try:
            self.jobs.add(job)
        except Conflict:  # recorded by a request with the same Idempotency-Key that was killed
            job = _require_same_source(self.jobs.get(job.id), job)
        else:
            quota.count(job.id, self.counts_as_bytes)
        enqueue(job, self.queue)
        return job

    async def _checked(self, url: str, caller: Caller) -> str:
        try:
            return await self.urls.check(url, caller)
        except AddressRefused as error:
            raise type(error)(f"This source URL can't be used. {error.message}") from error


def _require_same_source(existing: Job, job: Job) -> Job:
    """A job forgets its URL when it ends; then the server must do. Raises IdempotencyKeyReused."""
    old, new = existing.source, job.source
    if old is None or new is None or (old.url or new.url, old.server) != (new.url, new.server):
        raise key_reused()
    return existing
