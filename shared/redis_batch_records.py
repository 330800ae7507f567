"""A batch's record in Redis, and what a change of one of its jobs is to it.

batch:{id}         hash: version, record (JSON); forgotten by time to live once all its jobs have ended
batches:{owner}    sorted set by creation
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.batch import Batch, matters
from shared.batch_event import event_of_batch
from shared.errors import NotFound
from shared.job import Job
from shared.redis_records import Change, translated
from shared.webhook_outbox import recorded

_BATCH = TypeAdapter(Batch)


class BatchRecords:
    """Reads batches, and says how their changes are written."""

    def __init__(self, client: "redis.Redis", *, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock

    def get(self, batch_id: str) -> Batch:
        """Raises NotFound."""
        with translated():
            record = cast(str | None, self._client.hget(self.name(batch_id), "record"))
        return parse_batch(record)

    def beside(self, old: Job | None, new: Job | None) -> Change | None:
        """What the change of a job (None: it is removed) is to its batch, if it makes a difference there."""
        batch_id = matters(old, new)
        job = new or old
        if batch_id is None or job is None:
            return None
        try:
            batch = self.get(batch_id)
        except NotFound:
            return None
        at = new.timeline[-1].at if new and new.timeline else self._clock()
        return self.changed(batch, batch.see(job.id, new, now=at))

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
        event = event_of_batch(old, new) if old else None
        if event is not None:
            commands += recorded(event, prefix=self._prefix)
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
        raise NotFound("There is no such batch. It may have expired.")
    return _BATCH.validate_json(record)
