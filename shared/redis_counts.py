"""CountStore in Redis: one hash of numbers, and when each kind of process was last heard of.

counts        field → number
counts:seen   process → UNIX seconds
"""

from collections.abc import Mapping
from functools import partial

import redis

from shared.redis_outage import outage

_translated = partial(outage, "The store of counts does not answer; try again later.")


class RedisCountStore:
    """The numbers that everybody adds to."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._record = prefix + "counts"
        self._seen = prefix + "counts:seen"

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        """Add to the numbers, and say that a kind of process is alive."""
        with _translated(), self._client.pipeline(transaction=True) as pipe:
            for field, amount in fields.items():
                pipe.hincrbyfloat(self._record, field, amount)
            pipe.hset(self._seen, process, repr(now))
            pipe.execute()

    def read(self) -> dict[str, float]:
        """Every number."""
        with _translated():
            found = self._client.hgetall(self._record)
        return {str(field): float(amount) for field, amount in found.items()}

    def seen(self) -> dict[str, float]:
        """When each kind of process was last heard of."""
        with _translated():
            found = self._client.hgetall(self._seen)
        return {str(process): float(at) for process, at in found.items()}
