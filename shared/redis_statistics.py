"""History in Redis: one hash of counters for each stretch of time, forgotten by time to live.

history:{seconds}:{at}    what happened in the stretch that begins at `at`; see shared/statistics.py

Written with the change of the job itself, so a count is neither lost nor made twice.
"""

from typing import Any

import redis

from shared.job import Job
from shared.redis_outage import outage
from shared.statistics import SPANS, Bucket, Span, bucket, happened


def count_changes(prefix: str) -> Any:
    """A follower for RedisJobStore that keeps the history."""

    def follow(old: Job | None, new: Job) -> list[list[str]]:
        commands = []
        for at, counters in happened(old, new):
            for span in SPANS:
                key = _name(prefix, span, at)
                commands += [["HINCRBY", key, counter, "1"] for counter in counters]
                commands.append(["EXPIRE", key, str(span.kept_seconds)])
        return commands

    return follow


class RedisHistory:
    """What became of all jobs, over time."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def read(self, span: Span, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a span, old to new; the last one is not over yet."""
        last = int(now // span.bucket_seconds) * span.bucket_seconds
        times = [last - (span.buckets - 1 - number) * span.bucket_seconds for number in range(span.buckets)]
        with outage("The history does not answer."), self._client.pipeline(transaction=False) as pipe:
            for at in times:
                pipe.hgetall(_name(self._prefix, span, at))
            found: list[dict[str, str]] = pipe.execute()
        return tuple(
            bucket(float(at), {name: int(number) for name, number in counters.items()})
            for at, counters in zip(times, found, strict=True)
        )


def _name(prefix: str, span: Span, at: float) -> str:
    begins = int(at // span.bucket_seconds) * span.bucket_seconds
    return f"{prefix}history:{span.bucket_seconds}:{begins}"
