"""Recall in Redis: reads the index that RedisJobStore writes with each success and each removal."""

from typing import cast

import redis

from shared.errors import NotFound
from shared.ports import JobStore
from shared.recall import recalled_as
from shared.redis_records import translated
from shared.report import Report

_MOST_LOOKED_AT = 3
"""Of several analyses of one song, the newest: some may be removed while we look."""


class RedisRecall:
    """What earlier analyses have found."""

    def __init__(self, client: "redis.Redis", *, prefix: str, jobs: JobStore) -> None:
        self._client = client
        self._prefix = prefix
        self._jobs = jobs

    def report(self, key: str, *, now: float) -> Report | None:
        """What the newest analysis under this name has found, unless it is forgotten."""
        with translated():
            ids = cast(
                list[str],
                self._client.zrange(f"{self._prefix}recall:{key}", 0, _MOST_LOOKED_AT - 1, desc=True),
            )
        for job_id in ids:
            try:
                job = self._jobs.get(job_id)
            except NotFound:
                continue
            if recalled_as(job) == key and (job.expires_at or 0.0) > now:
                return job.report
        return None
