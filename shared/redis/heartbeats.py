"""WorkerRegistry and UploadRegistry in Redis: one key with a time to live for each, and a list of all.

heartbeat:worker:{name}, workers    JSON; sorted set by last heartbeat
upload:{id}, uploads                JSON; sorted set by start
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.ports.uploads import UploadInfo
from shared.ports.workers import WorkerInfo
from shared.redis.client import translate_redis_errors
from shared.redis.records import load_all

WORKER_TTL_SECONDS = 15
UPLOAD_TTL_SECONDS = 30

_WORKER = TypeAdapter(WorkerInfo)
_UPLOAD = TypeAdapter(UploadInfo)

_translate_errors = partial(
    translate_redis_errors, "The registry of workers and uploads is unavailable. Try again in a few seconds."
)


class RedisWorkerRegistry:
    """The workers that are alive."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        # MGET skips keys of other types: under the old name is now only the index of a worker's jobs
        self._live = _LiveRecords(
            client,
            names=prefix + "workers",
            prefix=prefix + "heartbeat:worker:",
            old_prefix=prefix + "worker:",
        )

    def heartbeat(self, worker: WorkerInfo) -> None:
        """Record that a worker is alive."""
        record = _WORKER.dump_json(worker)
        self._live.write([(worker.name, record, worker.seen_at)], ttl_seconds=WORKER_TTL_SECONDS)

    def deregister(self, name: str) -> None:
        """Remove a worker that stops."""
        self._live.remove(name)

    def list_alive(self) -> tuple[WorkerInfo, ...]:
        """Workers with a recent heartbeat."""
        return tuple(load_all(_WORKER.validate_json, self._live.read()).values())


class RedisUploadRegistry:
    """The unfinished uploads that a process is working on."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._live = _LiveRecords(client, names=prefix + "uploads", prefix=prefix + "upload:")

    def heartbeat(self, uploads: Sequence[UploadInfo]) -> None:
        """Record that uploads are alive."""
        entries = [(upload.id, _UPLOAD.dump_json(upload), upload.started_at) for upload in uploads]
        self._live.write(entries, ttl_seconds=UPLOAD_TTL_SECONDS)

    def deregister(self, upload_id: str) -> None:
        """Remove an upload that has ended."""
        self._live.remove(upload_id)

    def list_alive(self) -> tuple[UploadInfo, ...]:
        """Uploads with a recent heartbeat, the oldest first."""
        return tuple(load_all(_UPLOAD.validate_json, self._live.read()).values())


class _LiveRecords:
    """Records that disappear unless they are written again."""

    def __init__(
        self, client: "redis.Redis", *, names: str, prefix: str, old_prefix: str | None = None
    ) -> None:
        """*old_prefix*: where processes of the last version write."""
        self._client = client
        self._names = names
        self._prefix = prefix
        self._old_prefix = old_prefix

    def write(self, entries: Sequence[tuple[str, bytes, float]], *, ttl_seconds: int) -> None:
        """Write records: name, JSON, and score in the list of names."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for name, record, score in entries:
                pipe.set(self._prefix + name, record, ex=ttl_seconds)
                pipe.zadd(self._names, {name: score})
            pipe.execute()

    def remove(self, name: str) -> None:
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.delete(self._prefix + name)
            pipe.zrem(self._names, name)
            pipe.execute()

    def read(self) -> list[tuple[str, str | None]]:
        """Names and live records in the order of their scores. Names without a record leave the list."""
        with _translate_errors():
            names = cast(list[str], self._client.zrange(self._names, 0, -1))
            if not names:
                return []
            found = cast(list[str | None], self._client.mget([self._prefix + name for name in names]))
            if self._old_prefix is not None and None in found:
                old = cast(list[str | None], self._client.mget([self._old_prefix + name for name in names]))
                found = [new or before for new, before in zip(found, old, strict=True)]
            expired = [name for name, record in zip(names, found, strict=True) if record is None]
            if expired:
                # safe: a heartbeat writes both, and so puts a live one back
                self._client.zrem(self._names, *expired)
        return list(zip(names, found, strict=True))
