"""TusUploadStore in Redis: one hash with a time to live for each upload.

resumable:{id}    metadata, holder (lock owner), tail (remainder), parts (how many count, if not all)
"""

from functools import partial
from typing import Any, cast

import redis
from pydantic import TypeAdapter

from shared.errors import NotFound
from shared.ports.uploads import Remainder, TusUpload
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The store of tus uploads is unavailable. Try again in a few seconds."
)

TTL_SECONDS = 8 * 24 * 3600
"""Longer than any upload may take: the job expires earlier."""

_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HMGET', KEYS[1], 'metadata', 'holder', 'tail', 'parts')
"""
_SAVE_PROGRESS = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
for index, field in ipairs({'tail', 'parts'}) do
  if ARGV[index + 1] == '' then redis.call('HDEL', KEYS[1], field)
  else redis.call('HSET', KEYS[1], field, ARGV[index + 1]) end
end
return 1
"""

_REMAINDER = TypeAdapter(Remainder)


class RedisTusUploadStore:
    """tus uploads until they are complete."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._acquire = client.register_script(_ACQUIRE)
        self._save_progress = client.register_script(_SAVE_PROGRESS)

    def add(self, upload: TusUpload) -> None:
        """Record a new upload."""
        name = self._name(upload.id)
        fields = {"metadata": upload.metadata, "holder": upload.lock_owner}
        if upload.remainder is not None:
            fields["tail"] = _REMAINDER.dump_json(upload.remainder).decode()
        if upload.verified_parts is not None:
            fields["parts"] = str(upload.verified_parts)
        with _translate_errors(), self._client.pipeline() as pipe:
            pipe.delete(name)
            pipe.hset(name, mapping=cast(Any, fields))
            pipe.expire(name, TTL_SECONDS)
            pipe.execute()

    def get(self, upload_id: str) -> TusUpload:
        """Raises NotFound."""
        with _translate_errors():
            found = self._client.hmget(self._name(upload_id), "metadata", "holder", "tail", "parts")
        return _parse(upload_id, found)

    def acquire(self, upload_id: str, *, lock_owner: str) -> TusUpload:
        """Make a request the lock owner. Raises NotFound."""
        with _translate_errors():
            found = self._acquire(keys=[self._name(upload_id)], args=[lock_owner, TTL_SECONDS])
        return _parse(upload_id, found)

    def save_progress(
        self, upload_id: str, *, lock_owner: str, remainder: Remainder | None, verified_parts: int | None
    ) -> bool:
        """Record the remainder and how many parts count; False if another request owns the lock."""
        tail = "" if remainder is None else _REMAINDER.dump_json(remainder).decode()
        parts = "" if verified_parts is None else str(verified_parts)
        with _translate_errors():
            return bool(self._save_progress(keys=[self._name(upload_id)], args=[lock_owner, tail, parts]))

    def remove(self, upload_id: str) -> None:
        """Delete an upload if it exists."""
        with _translate_errors():
            self._client.delete(self._name(upload_id))

    def _name(self, upload_id: str) -> str:
        return f"{self._prefix}resumable:{upload_id}"


def _parse(upload_id: str, found: Any) -> TusUpload:
    if not found or found[1] is None:
        raise NotFound("The upload does not exist. It may have expired, or be complete.")
    metadata, holder, tail, parts = found
    return TusUpload(
        id=upload_id,
        metadata=metadata or "",
        lock_owner=holder,
        remainder=_REMAINDER.validate_json(tail) if tail else None,
        verified_parts=int(parts) if parts else None,
    )
