"""MetricsStore in Redis.

counts         hash: field → number; shared/observability/metrics.py makes the fields
counts:seen    hash: kind of process → UNIX seconds
"""

from collections.abc import Mapping
from functools import partial

import redis

from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The metrics store is unavailable. Try again in a few seconds."
)


class RedisMetricsStore:
    """Numbers that all processes add to."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._counts = prefix + "counts"
        self._seen = prefix + "counts:seen"

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        """Add to the numbers, and record that a kind of process is alive."""
        with _translate_errors(), self._client.pipeline(transaction=True) as pipe:
            for field, amount in fields.items():
                pipe.hincrbyfloat(self._counts, field, amount)
            pipe.hset(self._seen, process, repr(now))
            pipe.execute()

    def read(self) -> dict[str, float]:
        """Every number."""
        with _translate_errors():
            found = self._client.hgetall(self._counts)
        return {str(field): float(amount) for field, amount in found.items()}

    def last_seen(self) -> dict[str, float]:
        """When each kind of process was last alive, UNIX seconds."""
        with _translate_errors():
            found = self._client.hgetall(self._seen)
        return {str(process): float(at) for process, at in found.items()}
