"""Batches in memory, next to jobs in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from shared.domain.batch import Batch, ItemState, affected_batch_id, item_state_of
from shared.domain.job import Job
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.batches import BatchPage, JobChange
from shared.schemas.webhook_event import batch_event
from tests.support.fakes.jobs import MemoryJobStore
from tests.support.fakes.webhooks import MemoryDeliveryStore


class MemoryBatchStore:
    def __init__(self, jobs: MemoryJobStore, deliveries: MemoryDeliveryStore) -> None:
        self.batches: dict[str, Batch] = {}
        self._jobs = jobs
        self._deliveries = deliveries
        jobs.observers.append(self._observe)

    def create(self, batch: Batch, steps: Sequence[JobChange]) -> None:
        with self._jobs.changed:
            unchanged = all(self._jobs.jobs.get(new.id) == old for old, new in steps)
            if batch.id in self.batches or not unchanged:
                raise Conflict("This batch exists already, or one of its uploads was just used or removed.")
            self.batches[batch.id] = replace(batch, version=1)
            for old, new in steps:
                if old is None:
                    self._jobs.add(new)
                else:
                    self._jobs.change(old.id, lambda _, new=new: new)  # type: ignore[misc]

    def get(self, batch_id: str) -> Batch:
        try:
            return self.batches[batch_id]
        except KeyError:
            raise NotFound("The batch does not exist. It may have expired.") from None

    def get_with_item_states(self, batch_id: str) -> tuple[Batch, Mapping[str, ItemState]]:
        batch = self.get(batch_id)
        return batch, {one: item_state_of(self._jobs.get(one)) for one in batch.open_ids}

    def change(self, batch_id: str, step: Callable[[Batch], Batch]) -> Batch:
        with self._jobs.changed:
            old = self.get(batch_id)
            new = step(old)
            if new != old:
                self.batches[batch_id] = replace(new, version=old.version + 1)
                event = batch_event(old, new)
                if event is not None:
                    self._deliveries.happen(event)
            return new

    def remove(self, batch_id: str) -> None:
        self.batches.pop(batch_id, None)

    def page(self, owner: str | None, *, cursor: str | None, limit: int) -> BatchPage:
        found = [batch for batch in self.batches.values() if owner is None or batch.owner == owner]
        found.sort(key=lambda batch: (batch.created_at, batch.id), reverse=True)
        if cursor is not None:
            try:
                at, batch_id = json.loads(cursor)
            except ValueError:
                raise BadRequest("The cursor is invalid. Start again without a cursor.") from None
            found = [batch for batch in found if (batch.created_at, batch.id) < (at, batch_id)]
        page, last = tuple(found[:limit]), found[:limit][-1:]
        more = json.dumps([last[0].created_at, last[0].id]) if len(found) > limit else None
        return BatchPage(batches=page, cursor=more)

    def _observe(self, old: Job | None, new: Job | None) -> None:
        batch_id, job = affected_batch_id(old, new), new or old
        if batch_id is None or job is None or batch_id not in self.batches:
            return
        at = new.timeline[-1].at if new else 0.0
        self.change(batch_id, lambda batch: batch.record_job(job.id, new, now=at))
