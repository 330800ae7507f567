"""ApiKeyStore in Redis: a hash of records, and a hash of revocations, which nothing undoes.

keys           id → JSON
keys:revoked   id → UNIX seconds
keys:used      id → UNIX seconds
"""

from dataclasses import replace
from functools import partial
from typing import Any

import redis

from shared.domain.api_key import ApiKey
from shared.errors import Conflict, NotFound
from shared.redis.client import translate_redis_errors
from shared.redis.records import RecordCodec, load_all

_translate_errors = partial(
    translate_redis_errors, "The API key store is unavailable. Try again in a few seconds."
)

_KEYS = RecordCodec(ApiKey)


class RedisApiKeyStore:
    """API keys and their revocations."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._records = prefix + "keys"
        self._revoked = prefix + "keys:revoked"
        self._used = prefix + "keys:used"

    def add(self, key: ApiKey) -> None:
        """Record a new key. Raises Conflict if its id is taken."""
        with _translate_errors():
            if not self._client.hsetnx(self._records, key.id, _KEYS.dump(key)):
                raise Conflict("A key with this id already exists.")

    def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, revoked or not; None if there is none."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.hget(self._records, key_id)
            pipe.hget(self._revoked, key_id)
            pipe.hget(self._used, key_id)
            record, revoked_at, used_at = pipe.execute()
        return None if record is None else _with_times(_KEYS.load(record), revoked_at, used_at)

    def list_all(self) -> tuple[ApiKey, ...]:
        """All keys, newest first."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._records)
            pipe.hgetall(self._revoked)
            pipe.hgetall(self._used)
            records, revoked, used = pipe.execute()
        keys = load_all(_KEYS.load, records.items())
        found = [_with_times(key, revoked.get(key_id), used.get(key_id)) for key_id, key in keys.items()]
        return tuple(sorted(found, key=lambda key: (-key.created_at, key.id)))

    def mark_used(self, key_id: str, *, now: float) -> None:
        """Record when a key was last used."""
        with _translate_errors():
            self._client.hset(self._used, key_id, repr(now))

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """Revoke a key. The first revocation counts. Raises NotFound."""
        with _translate_errors():
            if not self._client.hexists(self._records, key_id):
                raise NotFound("The key does not exist.")
            self._client.hsetnx(self._revoked, key_id, repr(now))
        key = self.find(key_id)
        if key is None:
            raise NotFound("The key does not exist.")
        return key


def _with_times(key: ApiKey, revoked_at: Any, used_at: Any) -> ApiKey:
    return replace(
        key,
        revoked_at=key.revoked_at if revoked_at is None else float(revoked_at),
        last_used_at=None if used_at is None else float(used_at),
    )
