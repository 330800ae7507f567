"""JobSearch in Redis: reads the indexes that RedisJobStore writes."""

from collections.abc import Mapping
from functools import partial
from typing import cast

import redis

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.ports.jobs import JobQuery
from shared.redis.client import translate_redis_errors
from shared.redis.jobs.indexes import index_for, indexed_words, prefix_range, search_words
from shared.redis.jobs.records import JOBS
from shared.redis.records import load_all

_MAX_PREFIX_MATCHES = 100
"""Of the entries that begin with the last, unfinished word: enough for a page, and bounded work."""

_translate_errors = partial(
    translate_redis_errors, "The job search is unavailable. Try again in a few seconds."
)


class RedisJobSearch:
    """Counts and finds jobs."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def count_by_state(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        with _translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for state in JobState:
                pipe.zcard(f"{self._prefix}state:{state}")
            return dict(zip(JobState, pipe.execute(), strict=True))

    def count(self, query: JobQuery) -> int | None:
        """How many jobs match, if one index alone can tell."""
        index, exact = index_for(query)
        if not exact:
            return None
        low = query.created_after if query.created_after is not None else "-inf"
        high = query.created_before if query.created_before is not None else "+inf"
        with _translate_errors():
            return int(self._client.zcount(self._prefix + index, low, high))

    def search(self, text: str, *, limit: int) -> tuple[Job, ...]:
        """Jobs by id, by SHA-256, or by the beginning of a word of the filename."""
        text = text.strip()
        ids = [text]
        with _translate_errors():
            if len(text) == 64:
                newest = self._client.zrange(f"{self._prefix}sha256:{text.lower()}", 0, limit - 1, desc=True)
                ids += cast(list[str], newest)
            ids += self._find_by_words(text, limit=limit)
            jobs = self._read(list(dict.fromkeys(ids))).values()
        return tuple(sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)[:limit])

    def scheduled(self, *, now: float, limit: int) -> tuple[Job, ...]:
        """Queued jobs that start later, the soonest first."""
        with _translate_errors():
            queues = cast(set[str], self._client.smembers(self._prefix + "queues"))
            with self._client.pipeline(transaction=False) as pipe:
                for queue in queues:
                    name = f"{self._prefix}due:{queue}"
                    pipe.zrange(name, f"({now!r}", "+inf", byscore=True, offset=0, num=limit)
                ids = [job_id for found in pipe.execute() for job_id in found]
            jobs = self._read(ids).values()
        return tuple(sorted(jobs, key=lambda job: (job.due_at or 0.0, job.id))[:limit])

    def _find_by_words(self, text: str, *, limit: int) -> list[str]:
        """Ids of jobs whose filename has all the words; the last word may be unfinished."""
        words = search_words(text)
        if not words:
            return []
        longest = max(indexed_words(text) or words, key=len)
        low, high = prefix_range(longest)
        members = cast(
            list[str],
            self._client.zrange(
                self._prefix + "words", low, high, bylex=True, offset=0, num=_MAX_PREFIX_MATCHES
            ),
        )
        newest_first = sorted((member.split("\0", 2) for member in members), key=lambda parts: parts[1])
        ids = list(dict.fromkeys(parts[2] for parts in newest_first))
        others = [word for word in words if word != longest]
        if not others:
            return ids[:limit]
        jobs = self._read(ids)
        return [job_id for job_id, job in jobs.items() if _name_has_words(job, others)]

    def _read(self, ids: list[str]) -> dict[str, Job]:
        with self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hget(f"{self._prefix}job:{job_id}", "record")
            records = pipe.execute()
        return load_all(JOBS.load, zip(ids, records, strict=True))


def _name_has_words(job: Job, words: list[str]) -> bool:
    names = search_words(job.input.filename or "")
    return all(any(name.startswith(word) for name in names) for word in words)
