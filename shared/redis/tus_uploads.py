"""ResumableStore in Redis: one hash an upload, forgotten by time to live."""

from functools import partial
from typing import Any, cast

import redis
from pydantic import TypeAdapter

from shared.errors import NotFound
from shared.ports.uploads import Remainder, TusUpload
from shared.redis.client import translate_redis_errors

_translated = partial(
    translate_redis_errors, "The store of resumable uploads does not answer; try again later."
)

KEPT_SECONDS = 8 * 24 * 3600
"""Longer than any upload may take; the job's own expiry comes first."""

_TAKE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HMGET', KEYS[1], 'metadata', 'holder', 'tail')
"""
_LEAVE_TAIL = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], 'tail')
else redis.call('HSET', KEYS[1], 'tail', ARGV[2]) end
return 1
"""

_TAIL = TypeAdapter(Remainder)


class RedisTusUploadStore:
    """Resumable uploads until they are whole."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._take = client.register_script(_TAKE)
        self._save_remainder = client.register_script(_LEAVE_TAIL)

    def add(self, upload: TusUpload) -> None:
        """Remember a new one."""
        name = self._name(upload.id)
        fields = {"metadata": upload.metadata, "holder": upload.lock_owner}
        if upload.remainder is not None:
            fields["tail"] = _TAIL.dump_json(upload.remainder).decode()
        with _translated(), self._client.pipeline() as pipe:
            pipe.delete(name)
            pipe.hset(name, mapping=cast(Any, fields))
            pipe.expire(name, KEPT_SECONDS)
            pipe.execute()

    def get(self, upload_id: str) -> TusUpload:
        """Raises NotFound."""
        with _translated():
            found = self._client.hmget(self._name(upload_id), "metadata", "holder", "tail")
        return _parse(upload_id, found)

    def acquire(self, upload_id: str, *, lock_owner: str) -> TusUpload:
        """Make a request the only one that writes. Raises NotFound."""
        with _translated():
            found = self._take(keys=[self._name(upload_id)], args=[lock_owner, KEPT_SECONDS])
        return _parse(upload_id, found)

    def save_remainder(self, upload_id: str, *, lock_owner: str, remainder: Remainder | None) -> bool:
        """Remember a new tail; False where somebody else has taken the upload."""
        text = "" if remainder is None else _TAIL.dump_json(remainder).decode()
        with _translated():
            return bool(self._save_remainder(keys=[self._name(upload_id)], args=[lock_owner, text]))

    def remove(self, upload_id: str) -> None:
        """Forget one."""
        with _translated():
            self._client.delete(self._name(upload_id))

    def _name(self, upload_id: str) -> str:
        return f"{self._prefix}resumable:{upload_id}"


def _parse(upload_id: str, found: Any) -> TusUpload:
    if not found or found[1] is None:
        raise NotFound("There is no such upload. It may have expired, or be whole.")
    metadata, holder, tail = found
    return TusUpload(
        id=upload_id,
        metadata=metadata or "",
        lock_owner=holder,
        remainder=_TAIL.validate_json(tail) if tail else None,
    )
