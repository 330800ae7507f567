"""From a change of a job to the event that tells of it, as commands that are written with the change.

There is no second write that could be lost: either the job has changed and its event stands in the outbox,
or neither. The body is made here, so that it shows the job as it was at that moment.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import redis
from pydantic import TypeAdapter

from shared.domain.delivery import Delivery, DeliveryState
from shared.domain.job import Job
from shared.domain.webhook import WebhookEvent
from shared.errors import NotFound
from shared.ports.webhooks import DeliveryQuery
from shared.redis.client import translate_redis_errors
from shared.redis.transactions import Change, ChangeApplier, next_version, retry_until_written
from shared.schemas.webhook_event import EVENT, job_event

EVENT_KEEP_SECONDS = 4 * 24 * 3600
"""Longer than any delivery is tried: what no sender took by then is forgotten."""


class WebhookOutbox:
    """A follower of RedisJobStore."""

    def __init__(self, *, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """Nothing, or the commands that record one event. Pure."""
        event = job_event(old, new)
        if event is None:
            return []
        return outbox_commands(event, prefix=self._prefix)


def outbox_commands(event: WebhookEvent, *, prefix: str) -> list[list[str]]:
    """The commands that put one event into the outbox."""
    record = EVENT.dump_json(event).decode()
    return [
        ["SET", f"{prefix}hooks:event:{event.id}", record, "EX", str(EVENT_KEEP_SECONDS)],
        ["ZADD", f"{prefix}hooks:outbox", repr(event.at), event.id],
    ]


_translated = partial(translate_redis_errors, "The store of webhooks does not answer; try again later.")

# As shared/redis_records.py applies a change, but from an event that waits, or not at all.
_SPREAD = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
return 1
"""
_SETTLE = """
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if #first == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('ZADD', KEYS[1], first[2], ARGV[1])
"""
KEEP_SECONDS = 7 * 24 * 3600
"""After its last change, so that one is kept beyond all of its attempts."""
_MOST_SERVERS = 1000
_MOST_LOGGED = 10_000

_DELIVERY = TypeAdapter(Delivery)


class RedisDeliveryStore:
    """The outbox and all deliveries."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix + "hooks:"
        self._changes = ChangeApplier(client, translate_errors=_translated)
        self._spread = client.register_script(_SPREAD)
        self._settle = client.register_script(_SETTLE)

    def pending_events(self, *, limit: int) -> tuple[WebhookEvent, ...]:
        """The oldest that are not spread yet."""
        outbox = self._prefix + "outbox"
        with _translated():
            ids = cast(list[str], self._client.zrange(outbox, 0, limit - 1))
            if not ids:
                return ()
            found = self._client.mget([f"{self._prefix}event:{event_id}" for event_id in ids])
            forgotten = [event_id for event_id, event in zip(ids, found, strict=True) if event is None]
            if forgotten:
                self._client.zrem(outbox, *forgotten)
        return tuple(EVENT.validate_json(event) for event in found if event is not None)

    def fan_out(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        """Replace an event by its deliveries."""
        commands = [["DEL", f"{self._prefix}event:{event.id}"]]
        for delivery in deliveries:
            commands += self._written(None, replace(delivery, version=1))
        with _translated():
            self._spread(keys=[self._prefix + "outbox"], args=[event.id, json.dumps(commands)])

    def add(self, delivery: Delivery) -> None:
        """Record one that follows from no event of a job."""
        self._save(None, replace(delivery, version=1))

    def get(self, delivery_id: str) -> Delivery:
        """A delivery as it is now. Raises NotFound."""
        with _translated():
            record = cast(str | None, self._client.hget(self._name(delivery_id), "record"))
        if record is None:
            raise NotFound("There is no such delivery. It may have expired.")
        return _DELIVERY.validate_json(record)

    def change(self, delivery_id: str, step: Callable[[Delivery], Delivery]) -> Delivery:
        """Apply a pure step atomically, again if somebody was faster."""

        def write() -> Delivery | None:
            old = self.get(delivery_id)
            new = next_version(old, step(old))
            return new if new is old or self._save(old, new) else None

        return retry_until_written("This delivery changes", write)

    def due(
        self, *, now: float, max_per_server: int, excluded_servers: Collection[str], limit: int
    ) -> tuple[Delivery, ...]:
        """The first of each server before the second of any."""
        servers = [server for server in self._servers(now) if server not in excluded_servers][:limit]
        if not servers:
            return ()
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            for server in servers:
                pipe.zrange(self._due(server), "-inf", now, byscore=True, offset=0, num=max_per_server)
            waiting = pipe.execute()
        for server, ids in zip(servers, waiting, strict=True):
            if not ids:
                self._look_again(server)
        ranked = sorted(
            (rank, place, servers[place], delivery_id)
            for place, ids in enumerate(waiting)
            for rank, delivery_id in enumerate(ids)
        )[:limit]
        return tuple(self._present([(server, delivery_id) for _, _, server, delivery_id in ranked]))

    def delete_all_about(self, subject_id: str) -> None:
        """Delete every delivery about a job or batch. What else lists them passes over what is not there."""
        logs = [f"{self._prefix}{kind}:{subject_id}" for kind in ("job", "batch")]
        with _translated():
            ids = [one for log in logs for one in cast(list[str], self._client.zrange(log, 0, -1))]
        found = self._records(ids)
        with _translated(), self._client.pipeline(transaction=True) as pipe:
            for delivery in found:
                pipe.zrem(self._due(delivery.server), delivery.id)
            pipe.delete(*logs, *(self._name(delivery_id) for delivery_id in ids))
            pipe.execute()

    def page(self, query: DeliveryQuery) -> tuple[Delivery, ...]:
        """A list of deliveries, newest first."""
        name = next(
            f"{kind}:{value}"
            for kind, value in (
                ("job", query.job_id),
                ("batch", query.batch_id),
                ("endpoint", query.endpoint_id),
                ("owner", query.owner),
            )
            if value is not None
        )
        oldest = "-inf" if query.since is None else query.since
        with _translated():
            ids: Any = self._client.zrange(
                self._prefix + name, "+inf", oldest, desc=True, byscore=True, offset=0, num=query.limit
            )
        return self._records(ids)

    def _servers(self, now: float) -> list[str]:
        with _translated():
            return cast(
                list[str],
                self._client.zrange(
                    self._prefix + "servers", "-inf", now, byscore=True, offset=0, num=_MOST_SERVERS
                ),
            )

    def _look_again(self, server: str) -> None:
        """Let `servers` say when something will be due there."""
        with _translated():
            self._settle(keys=[self._prefix + "servers", self._due(server)], args=[server])

    def _present(self, waiting: Sequence[tuple[str, str]]) -> Iterator[Delivery]:
        """Those that still exist; what expired while no sender ran stands in nobody's way any more."""
        for (server, delivery_id), record in zip(
            waiting, self._read([delivery_id for _, delivery_id in waiting]), strict=True
        ):
            if record is not None:
                yield _DELIVERY.validate_json(record)
                continue
            with _translated():
                self._client.zrem(self._due(server), delivery_id)

    def _records(self, ids: Sequence[str]) -> tuple[Delivery, ...]:
        return tuple(_DELIVERY.validate_json(record) for record in self._read(ids) if record is not None)

    def _read(self, ids: Sequence[str]) -> list[str | None]:
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hget(self._name(delivery_id), "record")
            return cast(list[str | None], pipe.execute())

    def _save(self, old: Delivery | None, new: Delivery) -> bool:
        versions = {self._name(new.id): str(old.version) if old else ""}
        saved = self._changes.apply(Change(versions=versions, commands=self._written(old, new)))
        if saved and old is not None:
            self._look_again(new.server)
        return saved

    def _written(self, old: Delivery | None, new: Delivery) -> list[list[str]]:
        name, due = self._name(new.id), self._due(new.server)
        record = _DELIVERY.dump_json(new).decode()
        commands = [
            ["HSET", name, "version", str(new.version), "record", record],
            ["EXPIRE", name, str(KEEP_SECONDS)],
        ]
        if new.state is DeliveryState.PENDING and new.due_at is not None:
            commands += [
                ["ZADD", due, repr(new.due_at), new.id],
                ["ZADD", self._prefix + "servers", "LT", repr(new.due_at), new.server],
            ]
        else:
            commands.append(["ZREM", due, new.id])
        if old is None:
            logs = {
                "job": new.job_id,
                "batch": new.batch_id,
                "endpoint": new.endpoint_id,
                "owner": new.owner,
            }
            for log in (f"{self._prefix}{kind}:{value}" for kind, value in logs.items() if value):
                commands += [
                    ["ZADD", log, repr(new.created_at), new.id],
                    ["ZREMRANGEBYRANK", log, "0", str(-_MOST_LOGGED - 1)],
                    ["EXPIRE", log, str(KEEP_SECONDS)],
                ]
        return commands

    def _name(self, delivery_id: str) -> str:
        return f"{self._prefix}delivery:{delivery_id}"

    def _due(self, server: str) -> str:
        return f"{self._prefix}due:{server}"
