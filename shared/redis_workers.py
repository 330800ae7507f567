"""WorkerRegistry in Redis: one key a worker, forgotten by time to live."""

from functools import partial
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.ports import WorkerInfo
from shared.redis_outage import outage

FORGOTTEN_SECONDS = 15

_WORKER = TypeAdapter(WorkerInfo)

_translated = partial(outage, "The worker registry does not answer.")


class RedisWorkerRegistry:
    """Who is at work."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def beat(self, worker: WorkerInfo) -> None:
        """Say that a worker is alive."""
        with _translated():
            self._client.set(self._name(worker.name), _WORKER.dump_json(worker), ex=FORGOTTEN_SECONDS)
            self._client.zadd(self._prefix + "workers", {worker.name: worker.seen_at})

    def leave(self, name: str) -> None:
        """Say that a worker stops."""
        with _translated():
            self._client.delete(self._name(name))
            self._client.zrem(self._prefix + "workers", name)

    def alive(self) -> tuple[WorkerInfo, ...]:
        """Workers that were heard of lately."""
        with _translated():
            names = cast(list[str], self._client.zrange(self._prefix + "workers", 0, -1))
            found = self._client.mget([self._name(name) for name in names]) if names else []
            gone = [name for name, value in zip(names, found, strict=True) if value is None]
            if gone:
                self._client.zrem(self._prefix + "workers", *gone)
        return tuple(_WORKER.validate_json(value) for value in found if value is not None)

    def _name(self, name: str) -> str:
        return f"{self._prefix}worker:{name}"
