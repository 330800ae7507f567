"""JobStore in Redis or Valkey: one hash a job, sorted sets as indexes, one script for every change.

job:{id}          hash: version, record (JSON without the report), report (JSON)
{index}           see shared/redis_indexes.py
queues            set of the names of all queues that ever had a job
transitions       stream of the last ten thousand changes of state
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import redis
from pydantic import TypeAdapter
from redis.exceptions import RedisError

from shared.errors import BadRequest, Conflict, NotFound, Unavailable
from shared.job import Job
from shared.ports import Backlog, Chores, JobPage, JobQuery
from shared.redis_indexes import entries, index_of
from shared.report import Report

# One round trip, one decision: the change applies to the version it was made from, or not at all.
_APPLY = """
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
for _, command in ipairs(cjson.decode(ARGV[2])) do redis.call(unpack(command)) end
return 1
"""
_TRIES = 50
_SCAN = 200
_TIES = 5
"""Read beyond a page's end: jobs of the cursor's own moment come again."""
_MOST_SCANNED = 5000
_MOST_TRANSITIONS = 10_000

_JOB = TypeAdapter(Job)
_REPORT = TypeAdapter(Report)


Follower = Callable[[Job | None, Job], list[list[str]]]
"""From a job before and after a change to Redis commands (full key names) that must happen with it, or not
at all: what follows from a job is written in the same breath as the job. Pure."""


class RedisJobStore:
    """The one record of every job."""

    def __init__(self, client: "redis.Redis", *, prefix: str, followers: Sequence[Follower] = ()) -> None:
        self._client = client
        self._prefix = prefix
        self._followers = followers
        self._apply = client.register_script(_APPLY)

    def add(self, job: Job) -> None:
        """Record a new job. Raises Conflict if its id is taken."""
        if not self._save(None, replace(job, version=1)):
            raise Conflict("This job exists already.")

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""
        with _translated():
            record, report = cast(
                list[str | None], self._client.hmget(self._name(job_id), "record", "report")
            )
        return _parse(record, report)

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Apply a pure step atomically, again if somebody was faster."""
        for _ in range(_TRIES):
            old = self.get(job_id)
            new = step(old)
            if new == old:
                return old
            new = replace(new, version=old.version + 1)
            if self._save(old, new):
                return new
        raise Unavailable("This job changes too fast; try again.")

    def remove(self, job_id: str) -> None:
        """Forget the job, whether it is there or not."""
        for _ in range(_TRIES):
            try:
                job = self.get(job_id)
            except NotFound:
                return
            commands = [["DEL", self._name(job_id)]]
            commands += [["ZREM", self._prefix + index, member] for index, member in entries(job)]
            commands.append(self._transition(job.id, "removed"))
            with _translated():
                if self._apply(keys=[self._name(job_id)], args=[str(job.version), json.dumps(commands)]):
                    return
        raise Unavailable("This job changes too fast; try again.")

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

    def chores(self, *, now: float, limit: int) -> Chores:
        """What is overdue at `now`."""
        with _translated():
            queues = cast(set[str], self._client.smembers(self._prefix + "queues"))
            indexes = ["leases", "unwanted", "expiry", *(f"due:{queue}" for queue in sorted(queues))]
            with self._client.pipeline(transaction=False) as pipe:
                for index in indexes:
                    pipe.zrange(self._prefix + index, "-inf", now, byscore=True, offset=0, num=limit)
                leases, unwanted, expiry, *due = pipe.execute()
        return Chores(
            lease_expired=tuple(leases),
            queued_due=tuple(job_id for queue in due for job_id in queue),
            audio_unwanted=tuple(unwanted),
            expired=tuple(expiry),
        )

    def position(self, job: Job) -> int | None:
        """How many jobs of its queue stand before a queued job."""
        with _translated():
            rank = self._client.zrank(self._prefix + f"waiting:{job.queue}", job.id)
        return None if rank is None else int(cast(int, rank))

    def backlog(self, queue: str) -> Backlog:
        """How much waits in a queue, and since when."""
        name = self._prefix + f"waiting:{queue}"
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.zcard(name)
            pipe.zrange(name, 0, 0, withscores=True)
            waiting, oldest = pipe.execute()
        return Backlog(queue=queue, waiting=waiting, oldest_queued_at=oldest[0][1] if oldest else None)

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""
        with _translated():
            self._client.ping()

    def _name(self, job_id: str) -> str:
        return f"{self._prefix}job:{job_id}"

    def _save(self, old: Job | None, new: Job) -> bool:
        name = self._name(new.id)
        record = _JOB.dump_json(replace(new, report=None)).decode()
        commands: list[list[Any]] = [["HSET", name, "version", str(new.version), "record", record]]
        if new.report is None:
            commands.append(["HDEL", name, "report"])
        elif old is None or new.report != old.report:
            commands.append(["HSET", name, "report", _REPORT.dump_json(new.report).decode()])
        before = entries(old) if old else {}
        after = entries(new)
        commands += [["ZREM", self._prefix + where[0], where[1]] for where in before if where not in after]
        commands += [
            ["ZADD", self._prefix + where[0], repr(score), where[1]]
            for where, score in after.items()
            if before.get(where) != score
        ]
        if old is None or new.state is not old.state or new.cancel_requested != old.cancel_requested:
            commands.append(self._transition(new.id, new.state))
        if old is None or old.queue != new.queue:
            commands.append(["SADD", self._prefix + "queues", new.queue])
        for follower in self._followers:
            commands += follower(old, new)
        with _translated():
            expected = str(old.version) if old else ""
            return bool(self._apply(keys=[name], args=[expected, json.dumps(commands)]))

    def _transition(self, job_id: str, state: str) -> list[str]:
        stream, most = self._prefix + "transitions", str(_MOST_TRANSITIONS)
        return ["XADD", stream, "MAXLEN", "~", most, "*", "id", job_id, "state", state]

    def _batch(self, query: JobQuery, cursor: str | None) -> list[Job]:
        """The next jobs of the narrowest index, strictly after the cursor."""
        name, exact = index_of(query)
        newest, after = _parse_cursor(cursor, query.created_before)
        oldest = query.created_after if query.created_after is not None else "-inf"
        skip = 0
        while True:
            with _translated():
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
            jobs = self._records(fresh)
            if jobs or not rows:
                return jobs
            skip += len(rows)

    def _records(self, job_ids: list[str]) -> list[Job]:
        with _translated(), self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(self._name(job_id), "record")
            records = pipe.execute()
        return [_JOB.validate_json(record) for record in records if record is not None]


def _matches(job: Job, query: JobQuery) -> bool:
    name = (job.input.filename or "").casefold()
    return (
        (query.owner is None or job.owner == query.owner)
        and (not query.states or job.state in query.states)
        and (query.reason is None or (job.problem is not None and job.problem.code == query.reason))
        and (query.worker is None or (bool(job.timeline) and job.timeline[-1].worker == query.worker))
        and (query.name_contains is None or query.name_contains.casefold() in name)
    )


def _parse(record: str | None, report: str | None) -> Job:
    if record is None:
        raise NotFound("There is no such job. It may have expired.")
    job = _JOB.validate_json(record)
    return replace(job, report=_REPORT.validate_json(report)) if report else job


def _parse_cursor(cursor: str | None, newest: float | None) -> tuple[float | str, tuple[float, str] | None]:
    if cursor is None:
        return (newest if newest is not None else "+inf"), None
    score, _, job_id = cursor.partition(":")
    try:
        return float(score), (float(score), job_id)
    except ValueError:
        raise BadRequest("This cursor is not one of ours; start again without one.") from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("The job store does not answer; try again later.") from error
