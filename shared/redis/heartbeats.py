"""UploadRegistry in Redis: one key an upload, forgotten by time to live."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.redis_outage import outage
from shared.upload_ports import UploadInfo

_translated = partial(outage, "The upload registry does not answer; try again later.")

FORGOTTEN_SECONDS = 30

_UPLOAD = TypeAdapter(UploadInfo)


class RedisUploadRegistry:
    """Which unfinished uploads are alive."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def beat(self, uploads: Sequence[UploadInfo]) -> None:
        """Say that uploads are alive."""
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            for upload in uploads:
                pipe.set(self._name(upload.id), _UPLOAD.dump_json(upload), ex=FORGOTTEN_SECONDS)
                pipe.zadd(self._prefix + "uploads", {upload.id: upload.started_at})
            pipe.execute()

    def leave(self, upload_id: str) -> None:
        """Say that an upload has ended."""
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.delete(self._name(upload_id))
            pipe.zrem(self._prefix + "uploads", upload_id)
            pipe.execute()

    def alive(self) -> tuple[UploadInfo, ...]:
        """Uploads that were heard of lately, the oldest first."""
        with _translated():
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
