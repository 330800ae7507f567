"""A job's record in Redis, and all that is written in the same breath as it. Pure.

job:{id}          hash: version, record (JSON without the report), report (JSON)
{index}           see shared/redis_indexes.py
queues            set of the names of all queues that ever had a job
transitions       stream of the last ten thousand changes of state
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from shared.errors import NotFound
from shared.job import Job
from shared.redis_indexes import entries
from shared.redis_records import Change
from shared.report import Report

_MOST_TRANSITIONS = 10_000

_JOB = TypeAdapter(Job)
_REPORT = TypeAdapter(Report)

Follower = Callable[[Job | None, Job], list[list[str]]]
"""From a job before and after a change to Redis commands (full key names) that must happen with it, or not
at all: what follows from a job is written in the same breath as the job. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecords:
    """How changes of jobs are written."""

    prefix: str
    followers: Sequence[Follower] = ()

    def name(self, job_id: str) -> str:
        """The key of a job's record."""
        return f"{self.prefix}job:{job_id}"

    def changed(self, old: Job | None, new: Job) -> Change:
        """A job that is so now."""
        name = self.name(new.id)
        record = _JOB.dump_json(replace(new, report=None)).decode()
        commands: list[list[Any]] = [["HSET", name, "version", str(new.version), "record", record]]
        if new.report is None:
            commands.append(["HDEL", name, "report"])
        elif old is None or new.report != old.report:
            commands.append(["HSET", name, "report", _REPORT.dump_json(new.report).decode()])
        before = entries(old) if old else {}
        after = entries(new)
        commands += [["ZREM", self.prefix + where[0], where[1]] for where in before if where not in after]
        commands += [
            ["ZADD", self.prefix + where[0], repr(score), where[1]]
            for where, score in after.items()
            if before.get(where) != score
        ]
        if old is None or new.state is not old.state or new.cancel_requested != old.cancel_requested:
            commands.append(self._transition(new.id, new.state))
        if old is None or old.queue != new.queue:
            commands.append(["SADD", self.prefix + "queues", new.queue])
        for follower in self.followers:
            commands += follower(old, new)
        return Change(versions={name: str(old.version) if old else ""}, commands=commands)

    def removed(self, job: Job) -> Change:
        """A job that is no more."""
        commands = [["DEL", self.name(job.id)]]
        commands += [["ZREM", self.prefix + index, member] for index, member in entries(job)]
        commands.append(self._transition(job.id, "removed"))
        return Change(versions={self.name(job.id): str(job.version)}, commands=commands)

    def _transition(self, job_id: str, state: str) -> list[str]:
        stream, most = self.prefix + "transitions", str(_MOST_TRANSITIONS)
        return ["XADD", stream, "MAXLEN", "~", most, "*", "id", job_id, "state", state]


def parse_job(record: str | None, report: str | None = None) -> Job:
    """The job of a record. Raises NotFound where there is none."""
    if record is None:
        raise NotFound("There is no such job. It may have expired.")
    job = _JOB.validate_json(record)
    return replace(job, report=_REPORT.validate_json(report)) if report else job
