"""Which indexes a job stands in, and which one answers a question. Pure.

all, state:{s}, owner:{o}, reason:{code}, worker:{w}, sha256:{hex}    by creation: lists
waiting:{queue}   by the time of queueing: position, depth, age of the oldest
recall:{what}     by the end of an analysis: what the same song of the same caller is answered from
due:{queue}, leases, unwanted, expiry    by when the rescuer should look
words             by name alone: each word of each filename, newest first
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import Report
from shared.domain.report_cache import cache_key_of_report
from shared.errors import NotFound
from shared.ports.jobs import JobQuery
from shared.redis.transactions import Change

_MOST_WORDS = 12
_LONGEST_WORD = 40
_LATEST = 10**13
"""Milliseconds, in the year 2286."""


def index_entries(job: Job) -> dict[tuple[str, str], float]:
    """The sorted sets that a job stands in: (index, member) to score."""
    created = job.created_at
    found = {"all": created, f"state:{job.state}": created}
    if job.owner is not None:
        found[f"owner:{job.owner}"] = created
    if job.problem is not None:
        found[f"reason:{job.problem.code}"] = created
    if worker := job.timeline[-1].worker if job.timeline else None:
        found[f"worker:{worker}"] = created
    if job.input.sha256 is not None:
        found[f"sha256:{job.input.sha256}"] = created
    if job.state is JobState.QUEUED:
        # what is put off waits from then on: else a pause would look like a queue that stands still
        found[f"waiting:{job.queue}"] = max(job.queued_at or created, job.due_at or 0.0)
        found[f"due:{job.queue}"] = job.due_at or 0.0
    if job.lease is not None:
        found["leases"] = job.lease.until
    if job.has_audio and job.audio_unneeded:
        found["unwanted"] = job.finished_at or created
    if (key := cache_key_of_report(job)) is not None:
        found[f"recall:{key}"] = job.finished_at or created
    if job.expires_at is not None:
        found["expiry"] = job.expires_at
    members = {(index, job.id): score for index, score in found.items()}
    backwards = f"{_LATEST - int(created * 1000):013d}"
    for word in search_words(job.input.filename or ""):
        members["words", f"{word}\0{backwards}\0{job.id}"] = 0.0
    return members


def index_for(query: JobQuery) -> tuple[str, bool]:
    """The narrowest index for a question, and whether all that stands in it matches (but for the time)."""
    wanted = []
    if query.owner is not None:
        wanted.append(f"owner:{query.owner}")
    if query.worker is not None:
        wanted.append(f"worker:{query.worker}")
    if query.reason is not None:
        wanted.append(f"reason:{query.reason}")
    if len(query.states) == 1:
        wanted.append(f"state:{next(iter(query.states))}")
    exact = len(wanted) <= 1 and len(query.states) <= 1 and query.name_contains is None
    return (wanted[0] if wanted else "all"), exact


def search_words(name: str) -> list[str]:
    """The words by which a file is found: letters and digits, without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    found = re.findall(r"[^\W_]+", plain)
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in found))[:_MOST_WORDS]


def prefix_range(beginning: str) -> tuple[str, str]:
    """The range of `words` that holds each word with this beginning."""
    return f"[{beginning}", f"[{beginning}\U0010ffff"


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
        before = index_entries(old) if old else {}
        after = index_entries(new)
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
        commands += [["ZREM", self.prefix + index, member] for index, member in index_entries(job)]
        commands.append(self._transition(job.id, "removed"))
        return Change(versions={self.name(job.id): str(job.version)}, commands=commands)

    def _transition(self, job_id: str, state: str) -> list[str]:
        stream, most = self.prefix + "transitions", str(_MOST_TRANSITIONS)
        return ["XADD", stream, "MAXLEN", "~", most, "*", "id", job_id, "state", state]


def parse_job(record: str | None, report: str | None = None) -> Job:
    """The job of a record. Raises NotFound where there is none."""
    if record is None:
        raise NotFound("The job does not exist. It may have expired.")
    job = _JOB.validate_json(record)
    return replace(job, report=_REPORT.validate_json(report)) if report else job
