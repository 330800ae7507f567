"""SecretStore in Redis.

vault:{name}       a secret
attempts:{name}    failed attempts, until the window ends
"""

from functools import partial
from typing import cast

import redis

from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The secret store is unavailable. Try again in a few seconds."
)


class RedisSecretStore:
    """Small secrets that all API processes share."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def get_or_create(self, name: str, value: str) -> str:
        """The secret of this name; *value* if there was none."""
        key = f"{self._prefix}vault:{name}"
        with _translate_errors():
            self._client.set(key, value, nx=True)
            return cast(str, self._client.get(key))

    def count_attempt(self, name: str, *, window_seconds: float) -> int:
        """Count an attempt; return how many this window has."""
        key = f"{self._prefix}attempts:{name}"
        with _translate_errors(), self._client.pipeline(transaction=True) as pipe:
            pipe.incr(key)
            pipe.expire(key, max(1, int(window_seconds)), nx=True)
            return cast(int, pipe.execute()[0])
