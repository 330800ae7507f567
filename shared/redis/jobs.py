"""JobStore in Redis or Valkey: one hash a job, sorted sets as indexes, one script for every change.

How a change is written: shared/redis_job_records.py, and of a batch's job shared/redis_batch_records.py.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

import redis

from shared.domain.job import Job
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.jobs import Backlog, DueWork, JobPage, JobQuery, JobUpdate
from shared.redis.client import translate_redis_errors
from shared.redis.job_records import Follower, JobRecords, index_for, parse_job
from shared.redis.transactions import (
    Change,
    ChangeApplier,
    next_version,
    retry_until_written,
    translate_errors,
)

_SCAN = 200
_TIES = 5
"""Read beyond a page's end: jobs of the cursor's own moment come again."""
_MOST_SCANNED = 5000

Companion = Callable[[Job | None, Job | None], Change | None]
"""From a job before and after a change (None: it is removed) to a change of another record that must happen
with it, or not at all. May read; is asked again where somebody was faster."""


class RedisJobStore:
    """The one record of every job."""

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
        self._records = ChangeApplier(client)

    def add(self, job: Job) -> None:
        """Record a new job. Raises Conflict if its id is taken."""
        if not self._save(None, replace(job, version=1)):
            raise Conflict("This job exists already.")

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""
        with translate_errors():
            record, report = cast(
                list[str | None], self._client.hmget(self.records.name(job_id), "record", "report")
            )
        return parse_job(record, report)

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Apply a pure step atomically, again if somebody was faster."""

        def write() -> Job | None:
            old = self.get(job_id)
            new = next_version(old, step(old))
            return new if new is old or self._save(old, new) else None

        return retry_until_written("This job changes", write)

    def remove(self, job_id: str) -> None:
        """Forget the job, whether it is there or not."""

        def write() -> Job | None:
            job = self.get(job_id)
            return job if self._apply(self.records.removed(job), job, None) else None

        with suppress(NotFound):
            retry_until_written("This job changes", write)

    def page(self, query: JobQuery) -> JobPage:
        """A page of jobs, newest first. A page may be short and still have a cursor."""
        found: list[Job] = []
        cursor = query.cursor
        for _ in range(_MOST_SCANNED // _SCAN):
            batch = self._batch(query, cursor)
            for job in batch:
                cursor = f"{job.created_at!r}:{job.id}"
                if _matches(job, query):
                    found.append(job)
                    if len(found) == query.limit:
                        return JobPage(jobs=tuple(found), cursor=cursor)
            if len(batch) == 0:
                return JobPage(jobs=tuple(found), cursor=None)
        return JobPage(jobs=tuple(found), cursor=cursor)

    def due_work(self, *, now: float, limit: int) -> DueWork:
        """What is overdue at `now`."""
        with translate_errors():
            queues = cast(set[str], self._client.smembers(self._prefix + "queues"))
            indexes = ["leases", "unwanted", "expiry", *(f"due:{queue}" for queue in sorted(queues))]
            with self._client.pipeline(transaction=False) as pipe:
                for index in indexes:
                    pipe.zrange(self._prefix + index, "-inf", now, byscore=True, offset=0, num=limit)
                leases, unwanted, expiry, *due = pipe.execute()
        return DueWork(
            lease_expired=tuple(leases),
            queued_due=tuple(job_id for queue in due for job_id in queue),
            audio_to_delete=tuple(unwanted),
            expired=tuple(expiry),
        )

    def queue_position(self, job: Job) -> int | None:
        """How many jobs of its queue stand before a queued job."""
        with translate_errors():
            rank = self._client.zrank(self._prefix + f"waiting:{job.queue}", job.id)
        return None if rank is None else int(cast(int, rank))

    def backlog(self, queue: str) -> Backlog:
        """How much waits in a queue, and since when."""
        name = self._prefix + f"waiting:{queue}"
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            pipe.zcard(name)
            pipe.zrange(name, 0, 0, withscores=True)
            waiting, oldest = pipe.execute()
        return Backlog(queue=queue, waiting=waiting, oldest_queued_at=oldest[0][1] if oldest else None)

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""
        with translate_errors():
            self._client.ping()

    def _save(self, old: Job | None, new: Job) -> bool:
        return self._apply(self.records.changed(old, new), old, new)

    def _apply(self, change: Change, old: Job | None, new: Job | None) -> bool:
        for companion in self._companions:
            beside = companion(old, new)
            change = change if beside is None else change.merge(beside)
        return self._records.apply(change)

    def _batch(self, query: JobQuery, cursor: str | None) -> list[Job]:
        """The next jobs of the narrowest index, strictly after the cursor."""
        name, exact = index_for(query)
        newest, after = _parse_cursor(cursor, query.created_before)
        oldest = query.created_after if query.created_after is not None else "-inf"
        skip = 0
        while True:
            with translate_errors():
                rows: Any = self._client.zrange(
                    self._prefix + name,
                    newest,
                    oldest,
                    desc=True,
                    byscore=True,
                    withscores=True,
                    offset=skip,
                    num=min(_SCAN, query.limit + _TIES) if exact else _SCAN,
                )
            fresh = [job_id for job_id, score in rows if after is None or (score, job_id) < after]
            jobs = self._parsed(fresh)
            if jobs or not rows:
                return jobs
            skip += len(rows)

    def _parsed(self, job_ids: list[str]) -> list[Job]:
        with translate_errors(), self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(self.records.name(job_id), "record")
            records = pipe.execute()
        return [parse_job(record) for record in records if record is not None]


def _matches(job: Job, query: JobQuery) -> bool:
    name = (job.input.filename or "").casefold()
    return (
        (query.owner is None or job.owner == query.owner)
        and (not query.states or job.state in query.states)
        and (query.reason is None or (job.problem is not None and job.problem.code == query.reason))
        and (query.worker is None or (bool(job.timeline) and job.timeline[-1].worker == query.worker))
        and (query.name_contains is None or query.name_contains.casefold() in name)
    )


def _parse_cursor(cursor: str | None, newest: float | None) -> tuple[float | str, tuple[float, str] | None]:
    if cursor is None:
        return (newest if newest is not None else "+inf"), None
    score, _, job_id = cursor.partition(":")
    try:
        return float(score), (float(score), job_id)
    except ValueError:
        raise BadRequest("This cursor is not one of ours; start again without one.") from None


_MOST = 500

_translated = partial(translate_redis_errors, "The stream of changes does not answer.")


class RedisJobUpdateLog:
    """The stream of all jobs' changes."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._stream = prefix + "transitions"

    def latest_cursor(self) -> str:
        """The cursor of what was written last."""
        with _translated():
            last: Any = self._client.xrevrange(self._stream, count=1)
        return cast(str, last[0][0]) if last else "0-0"

    def read_after(self, cursor: str, *, wait_seconds: float) -> tuple[JobUpdate, ...]:
        """What was written after a cursor. The wait must be shorter than the client's patience."""
        with _translated():
            answer: Any = self._client.xread(
                {self._stream: cursor}, count=_MOST, block=max(1, int(wait_seconds * 1000))
            )
        entries = answer[0][1] if answer else []
        return tuple(
            JobUpdate(cursor=entry_id, job_id=fields["id"], state=fields["state"])
            for entry_id, fields in entries
        )
