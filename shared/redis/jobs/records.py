"""How jobs are recorded in Redis. Pure.

job:{id}       hash: version, record (JSON without the report), packed (the report, in bytes);
               report (JSON of version 0.1)
removed        sorted set of removed jobs whose audio may still be in storage
transitions    stream of state changes
queues         set of queue names
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import NotFound
from shared.redis.jobs.indexes import entries_of_version_0_1, index_entries
from shared.redis.jobs.report_codec import pack_report, parse_report, unpack_report
from shared.redis.records import RecordCodec
from shared.redis.transactions import Change

_MAX_UPDATES = 10_000
REMOVED = "removed"

JOBS = RecordCodec(Job)

Follower = Callable[[Job | None, Job], list[list[str]]]
"""From a job before and after a change to Redis commands (full key names) that run in the same transaction.
Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecords:
    """Turns changes of jobs into Redis commands."""

    prefix: str
    followers: Sequence[Follower] = ()

    def name(self, job_id: str) -> str:
        """The key of a job's record."""
        return f"{self.prefix}job:{job_id}"

    def changed(self, old: Job | None, new: Job) -> Change:
        """Write a new or changed job."""
        name = self.name(new.id)
        commands: list[list[Any]] = [["HSET", name, "version", str(new.version), "record", dump_job(new)]]
        if new.report is None:
            commands.append(["HDEL", name, "report", "packed"])
        elif old is None or new.report != old.report:
            commands.append(["HSET", name, "packed", pack_report(new.report)])
        before = index_entries(old) if old else {}
        after = index_entries(new)
        commands += [["ZREM", self.prefix + entry[0], entry[1]] for entry in before if entry not in after]
        commands += [
            ["ZADD", self.prefix + entry[0], repr(score), entry[1]]
            for entry, score in after.items()
            if before.get(entry) != score
        ]
        if old is None or new.state is not old.state or new.cancel_requested != old.cancel_requested:
            commands.append(self._update(new.id, new.state))
        if old is None or old.queue != new.queue:
            commands.append(["SADD", self.prefix + "queues", new.queue])
        for follower in self.followers:
            commands += follower(old, new)
        return Change(versions={name: str(old.version) if old else ""}, commands=commands)

    def removed(self, job: Job) -> Change:
        """Delete a job."""
        commands = [["DEL", self.name(job.id)]]
        entries = {**index_entries(job), **dict.fromkeys(entries_of_version_0_1(job))}
        commands += [["ZREM", self.prefix + index, member] for index, member in entries]
        if job.has_audio or job.state is JobState.AWAITING_UPLOAD:
            commands.append(["ZADD", self.prefix + REMOVED, repr(job.created_at), job.id])
        commands.append(self._update(job.id, "removed"))
        return Change(versions={self.name(job.id): str(job.version)}, commands=commands)

    def _update(self, job_id: str, state: str) -> list[str]:
        stream = self.prefix + "transitions"
        return ["XADD", stream, "MAXLEN", "~", str(_MAX_UPDATES), "*", "id", job_id, "state", state]


def dump_job(job: Job) -> str:
    """The JSON of a job without its report."""
    return JOBS.dump(replace(job, report=None))


def parse_job(record: str | None, packed: bytes | None = None, report: str | None = None) -> Job:
    """The job of a record and its report, in the present form or in that of version 0.1.

    Raises NotFound if there is none, and UnreadableRecord.
    """
    if record is None:
        raise NotFound("The job does not exist. It may have expired.")
    job = JOBS.load(record)
    if packed is not None:
        return replace(job, report=unpack_report(packed))
    return job if report is None else replace(job, report=parse_report(report))
