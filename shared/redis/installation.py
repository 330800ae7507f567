"""InstallationStore in Redis.

installation    hash: id, created_at
"""

import secrets
from functools import partial
from typing import Any

import redis

from shared.domain.installation import Installation
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The job store is unavailable. Try again in a few seconds."
)

# KEYS: the record, the index of all jobs. ARGV: a new id.
_GET_OR_CREATE = """
if redis.call('HSETNX', KEYS[1], 'id', ARGV[1]) == 1 then
  local created_at = redis.call('EXISTS', KEYS[2]) == 1 and '0' or redis.call('TIME')[1]
  redis.call('HSET', KEYS[1], 'created_at', created_at)
end
return redis.call('HMGET', KEYS[1], 'id', 'created_at')
"""


class RedisInstallationStore:
    """The installation id in Redis."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._keys = [prefix + "installation", prefix + "all"]
        self._get_or_create = client.register_script(_GET_OR_CREATE)

    def get_or_create(self) -> Installation:
        """The identity of this store; created at the first call."""
        with _translate_errors():
            found: Any = self._get_or_create(keys=self._keys, args=[secrets.token_hex(16)])
        return Installation(id=found[0], created_at=float(found[1] or 0))
