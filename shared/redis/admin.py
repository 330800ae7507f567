"""The ports of shared/oversight.py in Redis.

paused, orders    what is paused; what each worker was told
audit             stream of acts, the last ten thousand or so
vault:{name}, attempts:{name}
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import redis
from pydantic import TypeAdapter

from shared.domain.job import Job
from shared.ports.admin import AuditEntry
from shared.ports.workers import WorkerCommand
from shared.redis.client import translate_redis_errors
from shared.redis.job_records import search_words

_translated = partial(translate_redis_errors, "The dashboard's store does not answer.")

_JOB = TypeAdapter(Job)
_ENTRY = TypeAdapter(AuditEntry)
_MOST_ENTRIES = 10_000
_MOST_FOUND = 100
"""Of an unfinished word, so many of the first words that begin so: enough for a page, and never more work."""


class RedisWorkerControl:
    """Levers that workers and rescuers heed."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._paused = prefix + "paused"
        self._orders = prefix + "orders"

    def pause(self, queue: str) -> None:
        """Let no job of a queue be started."""
        with _translated():
            self._client.sadd(self._paused, queue)

    def resume(self, queue: str) -> None:
        """Let them be started again."""
        with _translated():
            self._client.srem(self._paused, queue)

    def paused(self) -> frozenset[str]:
        """The queues that are paused."""
        with _translated():
            return frozenset(cast(set[str], self._client.smembers(self._paused)))

    def send_command(self, worker: str, command: WorkerCommand) -> None:
        """Tell a worker what to do."""
        with _translated():
            self._client.hset(self._orders, worker, command)

    def clear_command(self, worker: str) -> None:
        """Forget what a worker was told."""
        with _translated():
            self._client.hdel(self._orders, worker)

    def commands(self) -> Mapping[str, WorkerCommand]:
        """What each worker was told."""
        with _translated():
            found = cast(dict[str, str], self._client.hgetall(self._orders))
        return {
            worker: WorkerCommand(order) for worker, order in found.items() if order in set(WorkerCommand)
        }


class RedisAuditLog:
    """Who did what, and when."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._stream = prefix + "audit"

    def add(self, entry: AuditEntry) -> None:
        """Write one act down."""
        fields: Any = {name: str(value) for name, value in asdict(entry).items()}
        with _translated():
            self._client.xadd(self._stream, fields, maxlen=_MOST_ENTRIES, approximate=True)

    def latest(self, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries, new to old."""
        with _translated():
            found: Any = self._client.xrevrange(self._stream, count=limit)
        return tuple(_ENTRY.validate_python(fields) for _, fields in found)


class RedisSecretStore:
    """Small secrets that all API processes share."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def get_or_create(self, name: str, value: str) -> str:
        """The value under a name: this one if there was none."""
        key = f"{self._prefix}vault:{name}"
        with _translated():
            self._client.set(key, value, nx=True)
            return cast(str, self._client.get(key))

    def count_attempt(self, name: str, *, window_seconds: float) -> int:
        """Count an attempt."""
        key = f"{self._prefix}attempts:{name}"
        with _translated(), self._client.pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, max(1, int(window_seconds)), nx=True)
            return cast(int, pipe.execute()[0])

    def reset_attempts(self, name: str) -> None:
        """Forget the attempts."""
        with _translated():
            self._client.delete(f"{self._prefix}attempts:{name}")


def _has_all(job: Job, words: list[str]) -> bool:
    names = search_words(job.input.filename or "")
    return all(any(name.startswith(word) for name in names) for word in words)
