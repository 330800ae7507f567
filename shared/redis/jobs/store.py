"""JobStore in Redis: one hash for each job, sorted sets as indexes, one script for every change.

shared/redis/jobs/records.py and shared/redis/batches/records.py say what a change writes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import redis

from shared.domain.job import Job
from shared.errors import Conflict, NotFound
from shared.ports.jobs import Backlog, DueWork, JobPage, JobQuery, StoreMemory
from shared.redis.client import read_bytes
from shared.redis.cursors import format_cursor, parse_cursor
from shared.redis.jobs.indexes import index_for
from shared.redis.jobs.records import JOBS, REMOVED, Follower, JobRecords, parse_job
from shared.redis.records import load_all
from shared.redis.transactions import (
    Change,
    ChangeApplier,
    next_version,
    retry_until_written,
    translate_errors,
)

_MEMORY_SECONDS = 5.0
_SCAN_BATCH = 200
_MAX_SCANNED = 5000
_FIELDS = ("record", "packed", "report")
_EXTRA = 5
"""Entries read beyond a page's end: jobs created at the cursor's own time come again."""

Companion = Callable[[Job | None, Job | None], Change | None]
"""From a job before and after a change (None: it is removed) to a change of another record in the same
transaction. It may read, and is called again if another writer was faster."""


class RedisJobStore:
    """The record of every job."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        prefix: str,
        followers: Sequence[Follower] = (),
        companions: Sequence[Companion] = (),
    ) -> None:
        self._client = client
        self._prefix = prefix
        self.records = JobRecords(prefix=prefix, followers=followers)
        self._companions = companions
        self._applier = ChangeApplier(client)
        self._memory: tuple[float, StoreMemory | None] = (0.0, None)

    def add(self, job: Job) -> None:
        """Record a new job. Raises Conflict if its id is taken."""
        if not self._save(None, replace(job, version=1)):
            raise Conflict("A job with this id already exists.")

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""
        with translate_errors():
            record, packed, report = read_bytes(self._client, self.records.name(job_id), *_FIELDS)
        return parse_job(_text(record), packed, _text(report))

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Apply a pure step atomically, again if another writer was faster."""

        def write() -> Job | None:
            old = self.get(job_id)
            new = next_version(old, step(old))
            return new if new is old or self._save(old, new) else None

        return retry_until_written("The job", write)

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job | None]:
        """The existing jobs without their reports; None for a record that can't be read."""
        records = self._read_records(job_ids)
        jobs = load_all(JOBS.load, records.items())
        return {job_id: jobs.get(job_id) for job_id, record in records.items() if record is not None}

    def remove(self, job_id: str) -> None:
        """Delete the job if it exists."""
        self.remove_if(job_id, lambda _: True)

    def remove_if(self, job_id: str, condition: Callable[[Job], bool]) -> Job | None:
        """Delete the job as it was seen, if it passes the condition."""

        def write() -> tuple[Job | None] | None:
            job = self.get(job_id)
            if not condition(job):
                return (None,)
            return (job,) if self._apply(self.records.removed(job), job, None) else None

        try:
            (removed,) = retry_until_written("The job", write)
        except NotFound:
            return None
        return removed

    def confirm_audio_deleted(self, job_id: str) -> None:
        """The audio of a removed job is no longer in storage."""
        with translate_errors():
            self._client.zrem(self._prefix + REMOVED, job_id)

    def page(self, query: JobQuery) -> JobPage:
        """A page of jobs. It may be short although more follow: then it has a cursor."""
        if query.before and query.cursor is not None:
            return self._page_before(query, query.cursor)
        found, cursor = self._scan(query, query.cursor)
        start = format_cursor(found[0].created_at, found[0].id) if found else query.cursor
        previous = start if query.cursor is not None else None
        return JobPage(jobs=tuple(found), cursor=cursor, previous_cursor=previous)

    def _page_before(self, query: JobQuery, cursor: str) -> JobPage:
        """The jobs right before a cursor. If no others are before them, it is the first page."""
        found, previous = self._scan(replace(query, limit=query.limit + 1), cursor)
        if len(found) <= query.limit and previous is None:
            return self.page(replace(query, cursor=None, before=False))
        if len(found) > query.limit:
            found = found[: query.limit]
            previous = format_cursor(found[-1].created_at, found[-1].id)
        following = format_cursor(found[0].created_at, found[0].id) if found else cursor
        return JobPage(jobs=tuple(reversed(found)), cursor=following, previous_cursor=previous)

    def _scan(self, query: JobQuery, cursor: str | None) -> tuple[list[Job], str | None]:
        """Matching jobs from a cursor on, and where to go on; None: there are no more."""
        found: list[Job] = []
        conditions = replace(query, verdict=None)  # its index has only jobs that match
        for _ in range(_MAX_SCANNED // _SCAN_BATCH):
            batch = self._read_batch(query, cursor)
            for job in batch:
                cursor = format_cursor(job.created_at, job.id)
                if conditions.matches(job):
                    found.append(job)
                    if len(found) == query.limit:
                        return found, cursor
            if len(batch) == 0:
                return found, None
        return found, cursor

    def due_work(self, *, now: float, limit: int) -> DueWork:
        """The ids of jobs that maintenance must look at, by *now*."""
        with translate_errors():
            queues = cast(set[str], self._client.smembers(self._prefix + "queues"))
            indexes = ["leases", "unwanted", "expiry", REMOVED, *(f"due:{queue}" for queue in sorted(queues))]
            with self._client.pipeline(transaction=False) as pipe:
                for index in indexes:
                    pipe.zrange(self._prefix + index, "-inf", now, byscore=True, offset=0, num=limit)
                leases, unwanted, expiry, removed, *due = pipe.execute()
        return DueWork(
            lease_expired=tuple(leases),
            queued_due=tuple(job_id for queue in due for job_id in queue),
            audio_to_delete=tuple(unwanted),
            expired=tuple(expiry),
            removed=tuple(removed),
        )

    def queue_position(self, job: Job) -> int | None:
        """How many jobs are before a queued job in its queue."""
        with translate_errors():
            rank = self._client.zrank(self._prefix + f"waiting:{job.queue}", job.id)
        return None if rank is None else int(cast(int, rank))

    def backlog(self, queue: str) -> Backlog:
        """How many jobs wait in a queue, and since when."""
        name = self._prefix + f"waiting:{queue}"
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.zcard(name)
            pipe.zrange(name, 0, 0, withscores=True)
            waiting, oldest = pipe.execute()
        return Backlog(queue=queue, waiting=waiting, oldest_queued_at=oldest[0][1] if oldest else None)

    def memory(self) -> StoreMemory:
        """How much memory Redis uses, read at most every five seconds."""
        read_at, memory = self._memory
        if memory is None or time.monotonic() - read_at > _MEMORY_SECONDS:
            with translate_errors():
                info: Any = self._client.info("memory")
            memory = StoreMemory(
                used_bytes=int(info["used_memory"]), limit_bytes=int(info.get("maxmemory", 0)) or None
            )
            self._memory = (time.monotonic(), memory)
        return memory

    def check(self) -> None:
        """Raise Unavailable unless Redis takes a write: one that is full or read-only still reads."""
        with translate_errors():
            self._client.set(self._prefix + "write-check", "1", ex=60)

    def _save(self, old: Job | None, new: Job) -> bool:
        return self._apply(self.records.changed(old, new), old, new)

    def _apply(self, change: Change, old: Job | None, new: Job | None) -> bool:
        for companion in self._companions:
            other = companion(old, new)
            change = change if other is None else change.merge(other)
        return self._applier.apply(change)

    def _read_batch(self, query: JobQuery, cursor: str | None) -> list[Job]:
        """The next jobs of the narrowest index, strictly beyond the cursor."""
        name, exact = index_for(query)
        upwards = query.oldest_first != query.before
        newest: float | str = query.created_before if query.created_before is not None else "+inf"
        oldest: float | str = query.created_after if query.created_after is not None else "-inf"
        start: tuple[float, str] | None = None
        if cursor is not None:
            start = parse_cursor(cursor)
            newest, oldest = (newest, start[0]) if upwards else (start[0], oldest)
        limits = (oldest, newest) if upwards else (newest, oldest)
        skip = 0
        while True:
            with translate_errors():
                rows: Any = self._client.zrange(
                    self._prefix + name,
                    *limits,
                    desc=not upwards,
                    byscore=True,
                    withscores=True,
                    offset=skip,
                    num=min(_SCAN_BATCH, query.limit + _EXTRA) if exact else _SCAN_BATCH,
                )
            fresh = [
                job_id
                for job_id, score in rows
                if start is None or ((score, job_id) > start if upwards else (score, job_id) < start)
            ]
            jobs = self._read(fresh)
            if jobs or not rows:
                return jobs
            skip += len(rows)

    def _read(self, job_ids: Sequence[str]) -> list[Job]:
        return list(load_all(JOBS.load, self._read_records(job_ids).items()).values())

    def _read_records(self, job_ids: Sequence[str]) -> dict[str, str | None]:
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(self.records.name(job_id), "record")
            return dict(zip(job_ids, pipe.execute(), strict=True))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
