"""A batch's record in Redis, and what a change of one of its jobs is to it.

batch:{id}         hash: version, record (JSON); forgotten by time to live once all its jobs have ended
batches:{owner}    sorted set by creation
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import redis
from pydantic import TypeAdapter

from shared.domain.batch import Batch, ItemState, affected_batch_id, item_state_of
from shared.domain.job import Job
from shared.errors import BadRequest, Conflict, NotFound, Unavailable
from shared.ports.batches import BatchPage, JobChange
from shared.redis.deliveries import outbox_commands
from shared.redis.job_records import JobRecords, parse_job
from shared.redis.transactions import Change, ChangeApplier, retry_until_written, translate_errors
from shared.schemas.webhook_event import batch_event

_BATCH = TypeAdapter(Batch)


class BatchRecords:
    """Reads batches, and says how their changes are written."""

    def __init__(self, client: "redis.Redis", *, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock

    def get(self, batch_id: str) -> Batch:
        """Raises NotFound."""
        with translate_errors():
            record = cast(str | None, self._client.hget(self.name(batch_id), "record"))
        return parse_batch(record)

    def change_for_job(self, old: Job | None, new: Job | None) -> Change | None:
        """What the change of a job (None: it is removed) is to its batch, if it makes a difference there."""
        batch_id = affected_batch_id(old, new)
        job = new or old
        if batch_id is None or job is None:
            return None
        try:
            batch = self.get(batch_id)
        except NotFound:
            return None
        at = new.timeline[-1].at if new and new.timeline else self._clock()
        return self.changed(batch, batch.record_job(job.id, new, now=at))

    def changed(self, old: Batch | None, new: Batch) -> Change:
        """A batch that is so now, from what it was."""
        new = replace(new, version=old.version + 1 if old else 1)
        name = self.name(new.id)
        commands: list[list[str]] = [
            ["HSET", name, "version", str(new.version), "record", _BATCH.dump_json(new).decode()]
        ]
        if old is None and new.owner is not None:
            commands.append(["ZADD", self.listed(new.owner), repr(new.created_at), new.id])
        if new.settled_at is None:
            commands.append(["PERSIST", name])
        elif old is None or old.settled_at != new.settled_at:
            commands.append(["EXPIRE", name, str(math.ceil(new.keep_seconds))])
        event = batch_event(old, new) if old else None
        if event is not None:
            commands += outbox_commands(event, prefix=self._prefix)
        return Change(versions={name: str(old.version) if old else ""}, commands=commands)

    def removed(self, batch: Batch) -> Change:
        """A batch that is no more."""
        name = self.name(batch.id)
        commands = [["DEL", name]]
        if batch.owner is not None:
            commands.append(["ZREM", self.listed(batch.owner), batch.id])
        return Change(versions={name: str(batch.version)}, commands=commands)

    def name(self, batch_id: str) -> str:
        """The key of a batch's record."""
        return f"{self._prefix}batch:{batch_id}"

    def listed(self, owner: str) -> str:
        """The key of an owner's list."""
        return f"{self._prefix}batches:{owner}"


def parse_batch(record: str | None) -> Batch:
    """The batch of a record. Raises NotFound where there is none."""
    if record is None:
        raise NotFound("The batch does not exist. It may have expired.")
    return _BATCH.validate_json(record)


_MOST_SWEPT = 20


class RedisBatchStore:
    """Every batch, until it is forgotten by time to live."""

    def __init__(self, client: "redis.Redis", *, jobs: JobRecords, batches: BatchRecords) -> None:
        self._client = client
        self._jobs = jobs
        self._batches = batches
        self._records = ChangeApplier(client)

    def create(self, batch: Batch, steps: Sequence[JobChange]) -> None:
        """Record a batch with all its jobs, or nothing of it."""
        change = self._batches.changed(None, batch)
        for old, new in steps:
            version = old.version + 1 if old else 1
            change = change.merge(self._jobs.changed(old, replace(new, version=version)))
        if not self._records.apply(change):
            raise Conflict("This batch exists already, or one of its uploads was just used or removed.")
        if batch.owner is not None:
            self._sweep(batch.owner)

    def get(self, batch_id: str) -> Batch:
        """The batch as it is now."""
        return self._batches.get(batch_id)

    def get_with_item_states(self, batch_id: str) -> tuple[Batch, Mapping[str, ItemState]]:
        """The batch, and where its open jobs stand."""
        ids = self.get(batch_id).open_ids
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hget(self._jobs.name(job_id), "record")
            found = dict(zip(ids, pipe.execute(), strict=True))
        # read last: what has ended meanwhile stands in it, with what it found
        batch = self.get(batch_id)
        live = {job_id: item_state_of(parse_job(record)) for job_id, record in found.items() if record}
        return batch, {job_id: live[job_id] for job_id in batch.open_ids if job_id in live}

    def change(self, batch_id: str, step: Callable[[Batch], Batch]) -> Batch:
        """Apply a pure step atomically, again if somebody was faster."""

        def write() -> Batch | None:
            old = self.get(batch_id)
            new = step(old)
            return new if new == old or self._records.apply(self._batches.changed(old, new)) else None

        return retry_until_written("This batch changes", write)

    def remove(self, batch_id: str) -> None:
        """Forget the batch alone."""

        def write() -> Batch | None:
            batch = self.get(batch_id)
            return batch if self._records.apply(self._batches.removed(batch)) else None

        with suppress(NotFound):
            retry_until_written("This batch changes", write)

    def page(self, owner: str, *, cursor: str | None, limit: int) -> BatchPage:
        """An API key's batches, newest first. A page may be short and still have a cursor."""
        newest, after = _parse_cursor(cursor)
        with translate_errors():
            rows: Any = self._client.zrange(
                self._batches.listed(owner),
                newest,
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
        return BatchPage(batches=found, cursor=f"{score!r}:{batch_id}")

    def _ties(self, owner: str, after: tuple[float, str]) -> int:
        """How many stand at the cursor's own moment: they come again."""
        if math.isinf(after[0]):
            return 0
        name = self._batches.listed(owner)
        return int(self._client.zcount(name, after[0], after[0]))

    def _read(self, ids: Sequence[str]) -> tuple[Batch, ...]:
        with self._client.pipeline(transaction=False) as pipe:
            for batch_id in ids:
                pipe.hget(self._batches.name(batch_id), "record")
            return tuple(parse_batch(record) for record in pipe.execute() if record is not None)

    def _sweep(self, owner: str) -> None:
        """Each new one takes more that were forgotten off its owner's list than it adds."""
        name = self._batches.listed(owner)
        with suppress(Unavailable), translate_errors():
            oldest: Any = self._client.zrange(name, 0, _MOST_SWEPT - 1)
            with self._client.pipeline(transaction=False) as pipe:
                for batch_id in oldest:
                    pipe.exists(self._batches.name(batch_id))
                gone = [one for one, there in zip(oldest, pipe.execute(), strict=True) if not there]
            if gone:
                self._client.zrem(name, *gone)


def _parse_cursor(cursor: str | None) -> tuple[float | str, tuple[float, str]]:
    if cursor is None:
        return "+inf", (math.inf, "")
    score, _, batch_id = cursor.partition(":")
    try:
        at = float(score)
    except ValueError:
        at = math.nan
    if not math.isfinite(at):
        raise BadRequest("This cursor is not one of ours; start again without one.")
    return at, (at, batch_id)
