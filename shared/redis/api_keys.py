"""ApiKeyStore in Redis: a hash of records, and a hash of revocations, which nothing can undo.

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

_translated = partial(translate_redis_errors, "The store of API keys does not answer; try again later.")

_KEY = TypeAdapter(ApiKey)


class RedisApiKeyStore:
    """Who may do what."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._records = prefix + "keys"
        self._revoked = prefix + "keys:revoked"

    def add(self, key: ApiKey) -> None:
        """Record a new key. Raises Conflict if its id is taken."""
        with _translated():
            if not self._client.hsetnx(self._records, key.id, _KEY.dump_json(key).decode()):
                raise Conflict("This key exists already.")

    def find(self, key_id: str) -> ApiKey | None:
        """The key of this id, revoked or not; None where there is none."""
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.hget(self._records, key_id)
            pipe.hget(self._revoked, key_id)
            record, revoked_at = pipe.execute()
        return None if record is None else _parse(record, revoked_at)

    def list_all(self) -> tuple[ApiKey, ...]:
        """Every key, the newest first."""
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._records)
            pipe.hgetall(self._revoked)
            records, revoked = pipe.execute()
        found = [_parse(record, revoked.get(key_id)) for key_id, record in records.items()]
        return tuple(sorted(found, key=lambda key: (-key.created_at, key.id)))

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """End a key; the first revocation counts. Raises NotFound."""
        with _translated():
            if not self._client.hexists(self._records, key_id):
                raise NotFound("There is no such key.")
            self._client.hsetnx(self._revoked, key_id, repr(now))
        key = self.find(key_id)
        if key is None:
            raise NotFound("There is no such key.")
        return key


def _parse(record: Any, revoked_at: Any) -> ApiKey:
    key = _KEY.validate_json(record)
    return key if revoked_at is None else replace(key, revoked_at=float(revoked_at))
