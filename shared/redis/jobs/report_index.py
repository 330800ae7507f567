"""ReportIndex in Redis: reads the index that RedisJobStore writes with each success and each removal."""

from typing import cast

import redis

from shared.domain.report import Report
from shared.domain.report_cache import cache_key_of_report
from shared.errors import NotFound
from shared.ports.jobs import JobStore
from shared.redis.transactions import translate_errors

_MAX_CANDIDATES = 3
"""The newest analyses under one key: some may be removed between the two reads."""


class RedisReportIndex:
    """Reports of earlier analyses."""

    def __init__(self, client: "redis.Redis", *, prefix: str, jobs: JobStore) -> None:
        self._client = client
        self._prefix = prefix
        self._jobs = jobs

    def find(self, key: str, *, now: float) -> Report | None:
        """The newest report under a key whose job has not expired."""
        with translate_errors():
            ids = cast(
                list[str],
                self._client.zrange(f"{self._prefix}recall:{key}", 0, _MAX_CANDIDATES - 1, desc=True),
            )
        for job_id in ids:
            try:
                job = self._jobs.get(job_id)
            except NotFound:
                continue
            if cache_key_of_report(job) == key and (job.expires_at or 0.0) > now:
                return job.report
        return None
