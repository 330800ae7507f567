"""RateLimiter in Redis: windows by the `limits` library, slots as sorted sets.

limits/…                    windows
places:{kind}:{subject}     slot → when it becomes free, UNIX seconds of the Redis server
"""

import math
import time
from functools import partial
from typing import cast

import redis
from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from shared.ports.access import Allowance, Quota
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The rate limits are unavailable. Try again in a few seconds."
)

# ARGV: slot, limit, seconds to live
_ACQUIRE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.6f', now + ARGV[3]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], math.ceil((last[2] - now) * 1000))
return 1
"""


class RedisRateLimiter:
    """Counts what API keys and addresses use."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        storage = RedisStorage(
            "redis://", connection_pool=client.connection_pool, key_prefix=prefix + "limits"
        )
        self._sliding = SlidingWindowCounterRateLimiter(storage)
        self._fixed = FixedWindowRateLimiter(storage)
        self._acquire = client.register_script(_ACQUIRE)

    def consume(self, quota: Quota, subject: str) -> Allowance:
        """Use one of a quota if one remains."""
        item = _item(quota)
        with _translate_errors():
            allowed = self._sliding.hit(item, quota.name, subject)
            stats = self._sliding.get_window_stats(item, quota.name, subject)
        return Allowance(allowed=allowed, remaining=stats.remaining, reset_seconds=_until(stats.reset_time))

    def charge(self, quota: Quota, subject: str, amount: int) -> None:
        """Add what was used already, even beyond the limit."""
        with _translate_errors():
            self._fixed.hit(_item(quota), quota.name, subject, cost=amount)

    def peek(self, quota: Quota, subject: str) -> Allowance:
        """What remains of a quota that is charged."""
        with _translate_errors():
            stats = self._fixed.get_window_stats(_item(quota), quota.name, subject)
        remaining = max(0, stats.remaining)
        return Allowance(allowed=remaining > 0, remaining=remaining, reset_seconds=_until(stats.reset_time))

    def acquire_slot(self, kind: str, subject: str, slot_id: str, *, limit: int, ttl_seconds: float) -> bool:
        """Acquire or extend one of *limit* slots."""
        with _translate_errors():
            return bool(self._acquire(keys=[self._name(kind, subject)], args=[slot_id, limit, ttl_seconds]))

    def list_slots(self, kind: str, subject: str) -> tuple[str, ...]:
        """The slots that a subject holds, the first to expire first."""
        with _translate_errors():
            now = self._client.time()
            found = self._client.zrange(
                self._name(kind, subject), f"({now[0] + now[1] / 1e6!r}", "+inf", byscore=True
            )
        return tuple(cast(list[str], found))

    def release_slot(self, kind: str, subject: str, slot_id: str) -> None:
        """Release a slot if it is held."""
        with _translate_errors():
            self._client.zrem(self._name(kind, subject), slot_id)

    def _name(self, kind: str, subject: str) -> str:
        return f"{self._prefix}places:{kind}:{subject}"


def _item(quota: Quota) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(quota.limit, quota.window_seconds, namespace="q")


def _until(at: float) -> int:
    return max(1, math.ceil(at - time.time()))
