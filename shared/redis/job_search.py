"""Recall in Redis: reads the index that RedisJobStore writes with each success and each removal."""

from collections.abc import Mapping
from typing import cast

import redis

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import Report
from shared.domain.report_cache import cache_key_of_report
from shared.errors import NotFound
from shared.ports.jobs import JobQuery, JobStore
from shared.redis.admin import _JOB, _MOST_FOUND, _has_all, _translated
from shared.redis.job_records import index_for, prefix_range, search_words
from shared.redis.transactions import translate_errors


class RedisJobSearch:
    """All jobs at a glance, from the indexes of RedisJobStore."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def count_by_state(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            for state in JobState:
                pipe.zcard(f"{self._prefix}state:{state}")
            return dict(zip(JobState, pipe.execute(), strict=True))

    def count(self, query: JobQuery) -> int | None:
        """How many jobs match, where one index alone can tell."""
        index, exact = index_for(query)
        if not exact:
            return None
        low = query.created_after if query.created_after is not None else "-inf"
        high = query.created_before if query.created_before is not None else "+inf"
        with _translated():
            return int(self._client.zcount(self._prefix + index, low, high))

    def search(self, text: str, *, limit: int) -> tuple[Job, ...]:
        """Jobs by id, SHA-256, or the beginning of a word of the filename."""
        text = text.strip()
        ids: list[str] = []
        with _translated():
            ids.append(text)
            if len(text) == 64:
                newest = self._client.zrange(f"{self._prefix}sha256:{text.lower()}", 0, limit - 1, desc=True)
                ids += cast(list[str], newest)
            ids += self._by_words(text, limit=limit)
            with self._client.pipeline(transaction=False) as pipe:
                for job_id in dict.fromkeys(ids):
                    pipe.hget(f"{self._prefix}job:{job_id}", "record")
                records = [record for record in pipe.execute() if record is not None]
        jobs = [_JOB.validate_json(record) for record in records]
        return tuple(sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)[:limit])

    def _by_words(self, text: str, *, limit: int) -> list[str]:
        """Names that have all the words; the last one may be unfinished."""
        words = search_words(text)
        if not words:
            return []
        longest = max(words, key=len)
        low, high = prefix_range(longest)
        found = cast(
            list[str],
            self._client.zrange(self._prefix + "words", low, high, bylex=True, offset=0, num=_MOST_FOUND),
        )
        others = [word for word in words if word != longest]
        ids = [member.split("\0", 2)[2] for member in sorted(found, key=lambda one: one.split("\0", 2)[1])]
        if not others:
            return list(dict.fromkeys(ids))[:limit]
        with self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hget(f"{self._prefix}job:{job_id}", "record")
            records = pipe.execute()
        return [
            job_id
            for job_id, record in zip(ids, records, strict=True)
            if record is not None and _has_all(_JOB.validate_json(record), others)
        ]


_MOST_LOOKED_AT = 3
"""Of several analyses of one song, the newest: some may be removed while we look."""


class RedisReportIndex:
    """What earlier analyses have found."""

    def __init__(self, client: "redis.Redis", *, prefix: str, jobs: JobStore) -> None:
        self._client = client
        self._prefix = prefix
        self._jobs = jobs

    def find(self, key: str, *, now: float) -> Report | None:
        """What the newest analysis under this name has found, unless it is forgotten."""
        with translate_errors():
            ids = cast(
                list[str],
                self._client.zrange(f"{self._prefix}recall:{key}", 0, _MOST_LOOKED_AT - 1, desc=True),
            )
        for job_id in ids:
            try:
                job = self._jobs.get(job_id)
            except NotFound:
                continue
            if cache_key_of_report(job) == key and (job.expires_at or 0.0) > now:
                return job.report
        return None
