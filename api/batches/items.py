"""From the items that a client names to the jobs that they become: judged one by one, recorded by none."""

import asyncio
import time
from dataclasses import dataclass, replace

from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.batches.schemas import NewBatch, NewItem
from api.uploads.idempotency import new_id
from api.uploads.presigned import PresignedUploadService, submitted
from api.uploads.source_url import JobSource, SourceUrlService, as_wished, with_wishes
from shared.domain.job import Callback
from shared.errors import BadRequest, Conflict, InvalidItem, NotFound, Rejected
from shared.ports.batches import JobChange

_AT_ONCE = 8
"""Looks at storage and at names of servers, which answer slowly and to many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItems:
    """Judges items."""

    direct: PresignedUploadService
    addressed: SourceUrlService

    async def steps(
        self, wish: NewBatch, caller: Caller, *, batch_id: str, callback: Callback | None
    ) -> list[JobChange]:
        """What is to become of each item's job.

        Raises:
            InvalidItem: the first that can't be a job, by its place.
            Unavailable: storage is away.
        """
        _refuse_repeated(wish)
        steps: list[JobChange] = []
        for start in range(0, len(wish.items), _AT_ONCE):  # behind a bad item nobody is asked
            some = wish.items[start : start + _AT_ONCE]
            looks = [run_in_threadpool(self._step, item, wish, caller) for item in some]
            for found in await asyncio.gather(*looks, return_exceptions=True):
                if isinstance(found, Rejected):
                    raise InvalidItem(len(steps), found) from found
                if isinstance(found, BaseException):
                    raise found
                old, new = found
                steps.append((old, replace(new, batch_id=batch_id, callback=callback or new.callback)))
        return steps

    def _step(self, item: NewItem, wish: NewBatch, caller: Caller) -> JobChange:
        if (item.upload_id is None) == (item.source_url is None):
            raise BadRequest("Say where the audio is: either upload_id or source_url.")
        source = JobSource(**item.model_dump(), queue=wish.queue)
        if item.upload_id is None:
            return None, self.addressed.new_job(new_id(), source, caller)
        old = self.direct.ready(item.upload_id, caller)
        if old.owner != caller.key_id:  # an operator may submit it, but not into a batch of its own
            raise NotFound("There is no such upload.")
        wanted = with_wishes(old, source, caller, check_url=self.direct.submissions.check_url)
        return old, submitted(as_wished(old, wanted), now=time.time())


def _refuse_repeated(wish: NewBatch) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(wish.items):
        if item.upload_id is None:
            continue
        if item.upload_id in first:
            raise InvalidItem(index, Conflict(f"This upload is items[{first[item.upload_id]}] already."))
        first[item.upload_id] = index
