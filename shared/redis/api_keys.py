"""ApiKeyStore in Redis: a hash of records, and a hash of revocations, which nothing undoes.

keys           id → JSON
keys:revoked   id → UNIX seconds
"""

from dataclasses import replace
from functools import partial
from typing import Any

import redis
from pydantic import TypeAdapter

from shared.domain.api_key import ApiKey
from shared.errors import Conflict, NotFound
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The API key store is unavailable. Try again in a few seconds."
)

_KEY = TypeAdapter(ApiKey)


class RedisApiKeyStore:
    """API keys and their revocations."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._records = prefix + "keys"
        self._revoked = prefix + "keys:revoked"

    def add(self, key: ApiKey) -> None:
        """Record a new key. Raises Conflict if its id is taken."""
        with _translate_errors():
            if not self._client.hsetnx(self._records, key.id, _KEY.dump_json(key).decode()):
                raise Conflict("A key with this id already exists.")

    def find(self, key_id: str) -> ApiKey | None:
        """The key with this id, revoked or not; None if there is none."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.hget(self._records, key_id)
            pipe.hget(self._revoked, key_id)
            record, revoked_at = pipe.execute()
        return None if record is None else _parse(record, revoked_at)

    def list_all(self) -> tuple[ApiKey, ...]:
        """All keys, newest first."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._records)
            pipe.hgetall(self._revoked)
            records, revoked = pipe.execute()
        found = [_parse(record, revoked.get(key_id)) for key_id, record in records.items()]
        return tuple(sorted(found, key=lambda key: (-key.created_at, key.id)))

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


def _parse(record: Any, revoked_at: Any) -> ApiKey:
    key = _KEY.validate_json(record)
    return key if revoked_at is None else replace(key, revoked_at=float(revoked_at))
