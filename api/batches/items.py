"""Checks the items of a new batch, and builds their jobs. Records nothing."""

import asyncio
from dataclasses import dataclass, replace

from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.url_checker import MAX_LOOKUPS_PER_CALLER
from api.batches.schemas import CreateBatch, CreateBatchItem
from api.uploads.idempotency import new_id
from api.uploads.presigned import PresignedUploadService, submitted
from api.uploads.source_url import SourceUrlService
from shared.domain.job_fields import Callback
from shared.errors import Conflict, InvalidItem, NotFound, Rejected
from shared.ports.batches import JobChange

_CONCURRENCY = MAX_LOOKUPS_PER_CALLER
"""Checks of storage and of host names, which are slow and can run in parallel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItems:
    """Builds the jobs of a batch from uploads and URLs."""

    presigned: PresignedUploadService
    source_urls: SourceUrlService

    async def steps(
        self, new: CreateBatch, caller: Caller, *, batch_id: str, callback: Callback | None
    ) -> list[JobChange]:
        """Return each item's job as it is now and as it will be.

        Raises:
            InvalidItem: the first that can't be a job, with its index.
            Unavailable: storage is unavailable.
        """
        _require_distinct(new)
        steps: list[JobChange] = []
        for start in range(0, len(new.items), _CONCURRENCY):  # nothing is checked after a bad item
            chunk = new.items[start : start + _CONCURRENCY]
            checks = [self._step(item, new, caller) for item in chunk]
            for result in await asyncio.gather(*checks, return_exceptions=True):
                if isinstance(result, Rejected):
                    raise InvalidItem(len(steps), result) from result
                if isinstance(result, BaseException):
                    raise result
                old, job = result
                steps.append((old, replace(job, batch_id=batch_id, callback=callback or job.callback)))
        return steps

    async def _step(self, item: CreateBatchItem, new: CreateBatch, caller: Caller) -> JobChange:
        item.require_one_source()
        options = new.options_of(item)
        if item.source_url is not None:
            return None, await self.source_urls.new_job(new_id(), item.source_url, options, caller)
        job = await run_in_threadpool(self.presigned.require_ready, item.upload_id or "", caller)
        if job.owner != caller.key_id:  # an operator may submit it, but not into a batch of its own
            raise NotFound("This upload does not exist.")
        return job, submitted(job, options, None)


def _require_distinct(new: CreateBatch) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(new.items):
        if item.upload_id is None:
            continue
        if item.upload_id in first:
            raise InvalidItem(index, Conflict(f"This upload is already items[{first[item.upload_id]}]."))
        first[item.upload_id] = index
