"""WorkerRegistry in Redis: one key a worker, forgotten by time to live."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.ports.uploads import UploadInfo
from shared.ports.workers import WorkerInfo
from shared.redis.client import translate_redis_errors

FORGOTTEN_SECONDS = 15

_WORKER = TypeAdapter(WorkerInfo)

_translated = partial(translate_redis_errors, "The worker registry does not answer.")


class RedisWorkerRegistry:
    """Who is at work."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def heartbeat(self, worker: WorkerInfo) -> None:
        """Say that a worker is alive."""
        with _translated():
            self._client.set(self._name(worker.name), _WORKER.dump_json(worker), ex=FORGOTTEN_SECONDS)
            self._client.zadd(self._prefix + "workers", {worker.name: worker.seen_at})

    def deregister(self, name: str) -> None:
        """Say that a worker stops."""
        with _translated():
            self._client.delete(self._name(name))
            self._client.zrem(self._prefix + "workers", name)

    def list_alive(self) -> tuple[WorkerInfo, ...]:
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


_uploads_translated = partial(translate_redis_errors, "The upload registry does not answer; try again later.")

UPLOAD_FORGOTTEN_SECONDS = 30

_UPLOAD = TypeAdapter(UploadInfo)


class RedisUploadRegistry:
    """Which unfinished uploads are alive."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def heartbeat(self, uploads: Sequence[UploadInfo]) -> None:
        """Say that uploads are alive."""
        with _uploads_translated(), self._client.pipeline(transaction=False) as pipe:
            for upload in uploads:
                pipe.set(self._name(upload.id), _UPLOAD.dump_json(upload), ex=UPLOAD_FORGOTTEN_SECONDS)
                pipe.zadd(self._prefix + "uploads", {upload.id: upload.started_at})
            pipe.execute()

    def deregister(self, upload_id: str) -> None:
        """Say that an upload has ended."""
        with _uploads_translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.delete(self._name(upload_id))
            pipe.zrem(self._prefix + "uploads", upload_id)
            pipe.execute()

    def list_alive(self) -> tuple[UploadInfo, ...]:
        """Uploads that were heard of lately, the oldest first."""
        with _uploads_translated():
            ids = cast(list[str], self._client.zrange(self._prefix + "uploads", 0, -1))
            found = self._client.mget([self._name(upload_id) for upload_id in ids]) if ids else []
            known = [_UPLOAD.validate_json(value) for value in cast(list[str | None], found) if value]
            gone = set(ids) - {upload.id for upload in known}
            if gone:
                # beats put a live one back, and each beat writes both
                self._client.zrem(self._prefix + "uploads", *gone)
        return tuple(known)

    def _name(self, upload_id: str) -> str:
        return f"{self._prefix}upload:{upload_id}"
