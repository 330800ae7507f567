"""EndpointStore in Redis.

hooks:endpoints           hash: id → JSON
hooks:endpoints:{owner}   set of ids
hooks:secrets             hash: owner → JSON
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import redis

from shared.clock import store_time
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import Secrets
from shared.errors import NotFound
from shared.redis.client import translate_redis_errors
from shared.redis.records import RecordCodec, load_all
from shared.redis.transactions import retry_until_written

_translate_errors = partial(
    translate_redis_errors, "The webhook store is unavailable. Try again in a few seconds."
)

# Compare and set of one field.
_SWAP = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

_ENDPOINTS = RecordCodec(Endpoint)
_SECRETS = RecordCodec(Secrets)


class RedisEndpointStore:
    """The webhook endpoints and signing secrets of API keys."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._endpoints = prefix + "hooks:endpoints"
        self._secrets = prefix + "hooks:secrets"
        self._swap = client.register_script(_SWAP)

    def add(self, endpoint: Endpoint) -> None:
        """Record a new endpoint."""
        with _translate_errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._endpoints, endpoint.id, _ENDPOINTS.dump(endpoint))
            pipe.sadd(self._of(endpoint.owner), endpoint.id)
            pipe.execute()

    def get(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        return _ENDPOINTS.load(self._record(endpoint_id))

    def change(self, endpoint_id: str, step: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Apply a pure step atomically, again if another writer was faster."""

        def write() -> Endpoint | None:
            record = self._record(endpoint_id)
            old = _ENDPOINTS.load(record)
            new = step(old)
            after = _ENDPOINTS.dump(new)
            return new if new == old or self._swapped(self._endpoints, endpoint_id, record, after) else None

        return retry_until_written("The endpoint", write)

    def remove(self, endpoint_id: str) -> None:
        """Delete the endpoint if it exists."""
        try:
            owner = self.get(endpoint_id).owner
        except NotFound:
            return
        with _translate_errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(self._endpoints, endpoint_id)
            pipe.srem(self._of(owner), endpoint_id)
            pipe.execute()

    def list_for_owner(self, owner: str) -> tuple[Endpoint, ...]:
        """The endpoints of one API key, the oldest first."""
        with _translate_errors():
            ids = sorted(cast(set[str], self._client.smembers(self._of(owner))))
            records = cast(list[str | None], self._client.hmget(self._endpoints, ids)) if ids else []
        return _oldest_first([record for record in records if record is not None])

    def list_all(self) -> tuple[Endpoint, ...]:
        """The endpoints of all keys, the oldest first."""
        with _translate_errors():
            return _oldest_first(cast(list[str], self._client.hvals(self._endpoints)))

    def secrets(self, owner: str, step: Callable[[Secrets], Secrets] = lambda secrets: secrets) -> Secrets:
        """The signing secrets of a key, after a step. Created when they are first read."""

        def write() -> Secrets | None:
            with _translate_errors():
                record = cast(str | None, self._client.hget(self._secrets, owner))
            old = _SECRETS.load(record) if record else Secrets.new(now=store_time())
            new = step(old)
            if record and new == old:
                return old
            after = _SECRETS.dump(new)
            return new if self._swapped(self._secrets, owner, record or "", after) else None

        return retry_until_written("The signing secret", write)

    def _record(self, endpoint_id: str) -> str:
        with _translate_errors():
            record = cast(str | None, self._client.hget(self._endpoints, endpoint_id))
        if record is None:
            raise NotFound("The endpoint does not exist.")
        return record

    def _swapped(self, name: str, key: str, old: str, new: str) -> bool:
        with _translate_errors():
            return bool(self._swap(keys=[name], args=[key, old, new]))

    def _of(self, owner: str) -> str:
        return f"{self._endpoints}:{owner}"


def _oldest_first(records: list[str]) -> tuple[Endpoint, ...]:
    found = load_all(_ENDPOINTS.load, [(record[:60], record) for record in records]).values()
    return tuple(sorted(found, key=lambda endpoint: (endpoint.created_at, endpoint.id)))
