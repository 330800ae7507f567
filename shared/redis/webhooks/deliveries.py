"""DeliveryStore in Redis.

hooks:delivery:{id}    hash: version, record (JSON)
hooks:due:{server}     sorted set of delivery ids by when they are due
hooks:servers          sorted set of servers by when something may be due
hooks:job:{id}, hooks:batch:{id}, hooks:endpoint:{id}, hooks:owner:{id}    lists by creation
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import redis

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.events import WebhookEvent
from shared.errors import NotFound, UnreadableRecord
from shared.ports.webhooks import DeliveryQuery
from shared.redis.client import translate_redis_errors
from shared.redis.records import load_all, log_unreadable
from shared.redis.transactions import Change, ChangeApplier, next_version, retry_until_written
from shared.redis.webhooks.delivery_records import dump_delivery, load_delivery
from shared.redis.webhooks.outbox import EVENTS

_translate_errors = partial(
    translate_redis_errors, "The webhook store is unavailable. Try again in a few seconds."
)

# Like the script of shared/redis/transactions.py, but only if the event is still in the outbox.
_FAN_OUT = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
return 1
"""
_UPDATE_SERVER = """
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if #first == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return redis.call('ZADD', KEYS[1], first[2], ARGV[1])
"""
RETENTION_SECONDS = 3 * 24 * 3600
TTL_SECONDS = 7 * 24 * 3600
"""From the last change: longer than all attempts take."""
_UNREADABLE_RETRY_SECONDS = 3600
"""A record that can't be read makes room for others, until a version that can read it comes."""
_MAX_SERVERS = 1000
_MAX_LISTED = 10_000


class RedisDeliveryStore:
    """The outbox and all deliveries."""

    def __init__(
        self, client: "redis.Redis", *, prefix: str, retention_seconds: float = RETENTION_SECONDS
    ) -> None:
        """*retention_seconds*: how long a delivery is kept after it has ended."""
        self._client = client
        self._prefix = prefix + "hooks:"
        self._retention_seconds = math.ceil(retention_seconds)
        self._applier = ChangeApplier(client, translate_errors=_translate_errors)
        self._fan_out = client.register_script(_FAN_OUT)
        self._update_server = client.register_script(_UPDATE_SERVER)

    def pending_events(self, *, limit: int) -> tuple[WebhookEvent, ...]:
        """The oldest events that have no deliveries yet."""
        outbox = self._prefix + "outbox"
        with _translate_errors():
            ids = cast(list[str], self._client.zrange(outbox, 0, limit - 1))
            if not ids:
                return ()
            found = cast(
                list[str | None], self._client.mget([f"{self._prefix}event:{event_id}" for event_id in ids])
            )
            expired = [event_id for event_id, event in zip(ids, found, strict=True) if event is None]
            if expired:
                self._client.zrem(outbox, *expired)
            events = load_all(EVENTS.load, zip(ids, found, strict=True))
            for event_id in set(ids) - set(expired) - set(events):
                self._client.zincrby(outbox, _UNREADABLE_RETRY_SECONDS, event_id)
        return tuple(events.values())

    def fan_out(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        """Replace an event by its deliveries. Calling it twice changes nothing."""
        commands = [["DEL", f"{self._prefix}event:{event.id}"]]
        for delivery in deliveries:
            commands += self._write_commands(None, replace(delivery, version=1))
        with _translate_errors():
            self._fan_out(keys=[self._prefix + "outbox"], args=[event.id, json.dumps(commands)])

    def add(self, delivery: Delivery) -> None:
        """Record a delivery that no event caused."""
        self._save(None, replace(delivery, version=1))

    def get(self, delivery_id: str) -> Delivery:
        """A delivery as it is now. Raises NotFound."""
        with _translate_errors():
            record = cast(str | None, self._client.hget(self._name(delivery_id), "record"))
        if record is None:
            raise NotFound("The delivery does not exist. It may have expired.")
        return load_delivery(record)

    def change(self, delivery_id: str, step: Callable[[Delivery], Delivery]) -> Delivery:
        """Apply a pure step atomically, again if another writer was faster."""

        def write() -> Delivery | None:
            old = self.get(delivery_id)
            new = next_version(old, step(old))
            return new if new is old or self._save(old, new) else None

        return retry_until_written("The delivery", write)

    def due(
        self, *, now: float, max_per_server: int, excluded_servers: Collection[str], limit: int
    ) -> tuple[Delivery, ...]:
        """Deliveries that are due: the first of each server before the second of any."""
        servers = [server for server in self._servers(now) if server not in excluded_servers][:limit]
        if not servers:
            return ()
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for server in servers:
                pipe.zrange(self._due(server), "-inf", now, byscore=True, offset=0, num=max_per_server)
            waiting = pipe.execute()
        for server, ids in zip(servers, waiting, strict=True):
            if not ids:
                self._refresh_server(server)
        ranked = sorted(
            (rank, place, servers[place], delivery_id)
            for place, ids in enumerate(waiting)
            for rank, delivery_id in enumerate(ids)
        )[:limit]
        return tuple(self._existing([(server, delivery_id) for _, _, server, delivery_id in ranked]))

    def delete_all_about(self, subject_id: str) -> None:
        """Delete every delivery about a job or batch. Other lists skip deliveries that do not exist."""
        logs = [f"{self._prefix}{kind}:{subject_id}" for kind in ("job", "batch")]
        with _translate_errors():
            ids = [one for log in logs for one in cast(list[str], self._client.zrange(log, 0, -1))]
        found = self._records(ids)
        with _translate_errors(), self._client.pipeline(transaction=True) as pipe:
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
        with _translate_errors():
            ids: Any = self._client.zrange(
                self._prefix + name, "+inf", oldest, desc=True, byscore=True, offset=0, num=query.limit
            )
        return self._records(ids)

    def _servers(self, now: float) -> list[str]:
        with _translate_errors():
            return cast(
                list[str],
                self._client.zrange(
                    self._prefix + "servers", "-inf", now, byscore=True, offset=0, num=_MAX_SERVERS
                ),
            )

    def _refresh_server(self, server: str) -> None:
        """Set when the server's next delivery is due."""
        with _translate_errors():
            self._update_server(keys=[self._prefix + "servers", self._due(server)], args=[server])

    def _existing(self, waiting: Sequence[tuple[str, str]]) -> Iterator[Delivery]:
        """The deliveries that still exist. Expired ones leave the queue."""
        for (server, delivery_id), record in zip(
            waiting, self._read([delivery_id for _, delivery_id in waiting]), strict=True
        ):
            due = self._due(server)
            with _translate_errors():
                if record is None:
                    self._client.zrem(due, delivery_id)
                    continue
                try:
                    delivery = load_delivery(record)
                except UnreadableRecord as error:
                    log_unreadable(delivery_id, error)
                    self._client.zincrby(due, _UNREADABLE_RETRY_SECONDS, delivery_id)
                    continue
            yield delivery

    def _records(self, ids: Sequence[str]) -> tuple[Delivery, ...]:
        return tuple(load_all(load_delivery, zip(ids, self._read(ids), strict=True)).values())

    def _read(self, ids: Sequence[str]) -> list[str | None]:
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hget(self._name(delivery_id), "record")
            return cast(list[str | None], pipe.execute())

    def _save(self, old: Delivery | None, new: Delivery) -> bool:
        versions = {self._name(new.id): str(old.version) if old else ""}
        saved = self._applier.apply(Change(versions=versions, commands=self._write_commands(old, new)))
        if saved and old is not None:
            self._refresh_server(new.server)
        return saved

    def _write_commands(self, old: Delivery | None, new: Delivery) -> list[list[str]]:
        name, due = self._name(new.id), self._due(new.server)
        is_pending = new.state is DeliveryState.PENDING
        record = dump_delivery(new)
        commands = [
            ["HSET", name, "version", str(new.version), "record", record],
            ["EXPIRE", name, str(TTL_SECONDS if is_pending else self._retention_seconds)],
        ]
        if is_pending and new.due_at is not None:
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
                    ["ZREMRANGEBYRANK", log, "0", str(-_MAX_LISTED - 1)],
                    ["EXPIRE", log, str(TTL_SECONDS)],
                ]
        return commands

    def _name(self, delivery_id: str) -> str:
        return f"{self._prefix}delivery:{delivery_id}"

    def _due(self, server: str) -> str:
        return f"{self._prefix}due:{server}"
