"""History in Redis: one hash of counters for each bucket of each time range.

history:{bucket seconds}:{start}    counter → number
"""

from functools import partial

import redis

from shared.domain.history import Bucket, TimeRange, make_bucket
from shared.redis.client import translate_redis_errors

_translate_errors = partial(translate_redis_errors, "The history is unavailable. Try again in a few seconds.")


class RedisHistory:
    """What became of all jobs, over time."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def read(self, time_range: TimeRange, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a time range, oldest first; the last one is still filling."""
        length = time_range.bucket_seconds
        last = int(now // length) * length
        times = [last - (time_range.buckets - 1 - number) * length for number in range(time_range.buckets)]
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for at in times:
                pipe.hgetall(bucket_name(self._prefix, time_range, at))
            found: list[dict[str, str]] = pipe.execute()
        return tuple(
            make_bucket(float(at), {name: int(number) for name, number in counters.items()})
            for at, counters in zip(times, found, strict=True)
        )


def bucket_name(prefix: str, time_range: TimeRange, at: float) -> str:
    """The key of the bucket that a time falls into."""
    start = int(at // time_range.bucket_seconds) * time_range.bucket_seconds
    return f"{prefix}history:{time_range.bucket_seconds}:{start}"
