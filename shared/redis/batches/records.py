"""How batches are recorded in Redis, and what a change of a job changes in its batch.

batch:{id}         hash: version, record (JSON); has a time to live once all its jobs have ended
batches:{owner}    sorted set by creation
all-batches        sorted set by creation
"""

import math
from dataclasses import replace
from typing import cast

import redis

from shared.clock import store_time
from shared.domain.batch import Batch, affected_batch_id
from shared.domain.job import Job
from shared.errors import NotFound
from shared.redis.records import RecordCodec
from shared.redis.transactions import Change, translate_errors
from shared.redis.webhooks.outbox import outbox_commands
from shared.schemas.webhook_event import batch_event

BATCHES = RecordCodec(Batch)


class BatchRecords:
    """Reads batches, and turns their changes into Redis commands."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def get(self, batch_id: str) -> Batch:
        """Raises NotFound."""
        with translate_errors():
            record = cast(str | None, self._client.hget(self.name(batch_id), "record"))
        return parse_batch(record)

    def change_for_job(self, old: Job | None, new: Job | None) -> Change | None:
        """What a change of a job (None: it is removed) changes in its batch, if anything."""
        batch_id = affected_batch_id(old, new)
        job = new or old
        if batch_id is None or job is None:
            return None
        try:
            batch = self.get(batch_id)
        except NotFound:
            return None
        at = new.timeline[-1].at if new and new.timeline else store_time()
        return self.changed(batch, batch.record_job(job.id, new, now=at))

    def changed(self, old: Batch | None, new: Batch) -> Change:
        """Write a new or changed batch."""
        new = replace(new, version=old.version + 1 if old else 1)
        name = self.name(new.id)
        commands: list[list[str]] = [["HSET", name, "version", str(new.version), "record", BATCHES.dump(new)]]
        if old is None:
            commands += [["ZADD", each, repr(new.created_at), new.id] for each in self._lists(new)]
        if new.settled_at is None:
            commands.append(["PERSIST", name])
        elif old is None or old.settled_at != new.settled_at:
            commands.append(["EXPIRE", name, str(math.ceil(new.keep_seconds))])
        event = batch_event(old, new) if old else None
        if event is not None:
            commands += outbox_commands(event, prefix=self._prefix)
        return Change(versions={name: str(old.version) if old else ""}, commands=commands)

    def removed(self, batch: Batch) -> Change:
        """Delete a batch."""
        name = self.name(batch.id)
        commands = [["DEL", name], *(["ZREM", each, batch.id] for each in self._lists(batch))]
        return Change(versions={name: str(batch.version)}, commands=commands)

    def name(self, batch_id: str) -> str:
        """The key of a batch's record."""
        return f"{self._prefix}batch:{batch_id}"

    def list_name(self, owner: str | None) -> str:
        """The key of an owner's list, or of the list of all batches."""
        return self._prefix + ("all-batches" if owner is None else f"batches:{owner}")

    def _lists(self, batch: Batch) -> set[str]:
        return {self.list_name(None), self.list_name(batch.owner)}


def parse_batch(record: str | None) -> Batch:
    """The batch of a record. Raises NotFound if there is none."""
    if record is None:
        raise NotFound("The batch does not exist. It may have expired.")
    return BATCHES.load(record)
