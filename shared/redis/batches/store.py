"""BatchStore in Redis."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import redis

from shared.domain.batch import Batch, ItemState, item_state_of
from shared.errors import Conflict, NotFound, Unavailable
from shared.ports.batches import BatchPage, JobChange
from shared.redis.batches.records import BATCHES, BatchRecords
from shared.redis.cursors import format_cursor, parse_cursor
from shared.redis.jobs.records import JOBS, JobRecords
from shared.redis.records import load_all
from shared.redis.transactions import ChangeApplier, retry_until_written, translate_errors

_MAX_SWEPT = 20


class RedisBatchStore:
    """Every batch, until its time to live ends."""

    def __init__(self, client: "redis.Redis", *, jobs: JobRecords, batches: BatchRecords) -> None:
        self._client = client
        self._jobs = jobs
        self._batches = batches
        self._applier = ChangeApplier(client)

    def create(self, batch: Batch, steps: Sequence[JobChange]) -> None:
        """Record a batch with all its jobs, or nothing of it."""
        change = self._batches.changed(None, batch)
        for old, new in steps:
            version = old.version + 1 if old else 1
            change = change.merge(self._jobs.changed(old, replace(new, version=version)))
        if not self._applier.apply(change):
            raise Conflict("The batch already exists, or one of its uploads was just used or removed.")
        for owner in {None, batch.owner}:
            self._sweep(owner)

    def get(self, batch_id: str) -> Batch:
        """The batch as it is now. Raises NotFound."""
        return self._batches.get(batch_id)

    def get_with_item_states(self, batch_id: str) -> tuple[Batch, Mapping[str, ItemState]]:
        """The batch, and the states of its open jobs."""
        ids = self.get(batch_id).open_ids
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hget(self._jobs.name(job_id), "record")
            found = dict(zip(ids, pipe.execute(), strict=True))
        # read last: it has the results of jobs that ended meanwhile
        batch = self.get(batch_id)
        jobs = load_all(JOBS.load, found.items())
        live = {job_id: item_state_of(job) for job_id, job in jobs.items()}
        return batch, {job_id: live[job_id] for job_id in batch.open_ids if job_id in live}

    def change(self, batch_id: str, step: Callable[[Batch], Batch]) -> Batch:
        """Apply a pure step atomically, again if another writer was faster."""

        def write() -> Batch | None:
            old = self.get(batch_id)
            new = step(old)
            return new if new == old or self._applier.apply(self._batches.changed(old, new)) else None

        return retry_until_written("The batch", write)

    def remove(self, batch_id: str) -> None:
        """Delete the batch, but not its jobs."""

        def write() -> Batch | None:
            batch = self.get(batch_id)
            return batch if self._applier.apply(self._batches.removed(batch)) else None

        with suppress(NotFound):
            retry_until_written("The batch", write)

    def page(self, owner: str | None, *, cursor: str | None, limit: int) -> BatchPage:
        """The batches of an API key, or of everybody, newest first. A short page may have a cursor."""
        after = (math.inf, "") if cursor is None else parse_cursor(cursor)
        with translate_errors():
            rows: Any = self._client.zrange(
                self._batches.list_name(owner),
                "+inf" if cursor is None else after[0],
                "-inf",
                desc=True,
                byscore=True,
                withscores=True,
                offset=0,
                num=limit + 1 + self._ties(owner, after),
            )
            fresh = [(score, batch_id) for batch_id, score in rows if (score, batch_id) < after]
            found = self._read([batch_id for _, batch_id in fresh[:limit]])
        if len(fresh) <= limit:
            return BatchPage(batches=found, cursor=None)
        score, batch_id = fresh[limit - 1]
        return BatchPage(batches=found, cursor=format_cursor(score, batch_id))

    def _ties(self, owner: str | None, after: tuple[float, str]) -> int:
        """How many batches were created at the cursor's own time: they come again."""
        if math.isinf(after[0]):
            return 0
        name = self._batches.list_name(owner)
        return int(self._client.zcount(name, after[0], after[0]))

    def _read(self, ids: Sequence[str]) -> tuple[Batch, ...]:
        with self._client.pipeline(transaction=False) as pipe:
            for batch_id in ids:
                pipe.hget(self._batches.name(batch_id), "record")
            return tuple(load_all(BATCHES.load, zip(ids, pipe.execute(), strict=True)).values())

    def _sweep(self, owner: str | None) -> None:
        """Remove expired batches from a list, more for each new batch than it adds."""
        name = self._batches.list_name(owner)
        with suppress(Unavailable), translate_errors():
            oldest: Any = self._client.zrange(name, 0, _MAX_SWEPT - 1)
            with self._client.pipeline(transaction=False) as pipe:
                for batch_id in oldest:
                    pipe.exists(self._batches.name(batch_id))
                expired = [one for one, exists in zip(oldest, pipe.execute(), strict=True) if not exists]
            if expired:
                self._client.zrem(name, *expired)
