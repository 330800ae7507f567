"""CountStore in Redis: one hash of numbers, and when each kind of process was last heard of.

counts        field → number
counts:seen   process → UNIX seconds
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import redis

from shared.domain.history import TIME_RANGES, Bucket, TimeRange, counters_of_change, make_bucket
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.observability import metrics as counts
from shared.redis.client import translate_redis_errors

_translated = partial(translate_redis_errors, "The store of counts does not answer; try again later.")


class RedisMetricsStore:
    """The numbers that everybody adds to."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._record = prefix + "counts"
        self._seen = prefix + "counts:seen"

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        """Add to the numbers, and say that a kind of process is alive."""
        with _translated(), self._client.pipeline(transaction=True) as pipe:
            for field, amount in fields.items():
                pipe.hincrbyfloat(self._record, field, amount)
            pipe.hset(self._seen, process, repr(now))
            pipe.execute()

    def read(self) -> dict[str, float]:
        """Every number."""
        with _translated():
            found = self._client.hgetall(self._record)
        return {str(field): float(amount) for field, amount in found.items()}

    def last_seen(self) -> dict[str, float]:
        """When each kind of process was last heard of."""
        with _translated():
            found = self._client.hgetall(self._seen)
        return {str(process): float(at) for process, at in found.items()}


def history_follower(prefix: str) -> Any:
    """A follower for RedisJobStore that keeps the history."""

    def follow(old: Job | None, new: Job) -> list[list[str]]:
        commands = []
        for at, counters in counters_of_change(old, new):
            for span in TIME_RANGES:
                key = _name(prefix, span, at)
                commands += [["HINCRBY", key, counter, "1"] for counter in counters]
                commands.append(["EXPIRE", key, str(span.ttl_seconds)])
        return commands

    return follow


class RedisHistory:
    """What became of all jobs, over time."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def read(self, span: TimeRange, *, now: float) -> tuple[Bucket, ...]:
        """The buckets of a span, old to new; the last one is not over yet."""
        last = int(now // span.bucket_seconds) * span.bucket_seconds
        times = [last - (span.buckets - 1 - number) * span.bucket_seconds for number in range(span.buckets)]
        with (
            translate_redis_errors("The history does not answer."),
            self._client.pipeline(transaction=False) as pipe,
        ):
            for at in times:
                pipe.hgetall(_name(self._prefix, span, at))
            found: list[dict[str, str]] = pipe.execute()
        return tuple(
            make_bucket(float(at), {name: int(number) for name, number in counters.items()})
            for at, counters in zip(times, found, strict=True)
        )


def _name(prefix: str, span: TimeRange, at: float) -> str:
    begins = int(at // span.bucket_seconds) * span.bucket_seconds
    return f"{prefix}history:{span.bucket_seconds}:{begins}"


class JobMetrics:
    """A follower of RedisJobStore."""

    def __init__(self, *, prefix: str) -> None:
        self._record = prefix + "counts"

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """The commands that count one change."""
        fields = metrics_of_change(old, new)
        return [["HINCRBYFLOAT", self._record, field, repr(amount)] for field, amount in fields.items()]


def metrics_of_change(old: Job | None, new: Job) -> dict[str, float]:
    """What a change adds."""
    fields: dict[str, float] = {}
    if old is not None and old.state is new.state:
        return fields
    if old is None and new.cached:
        fields |= _accepted(new) | counts.increment(counts.CACHED) | _ended(new)
    elif new.state is JobState.QUEUED and (old is None or old.state is JobState.AWAITING_UPLOAD):
        fields |= _accepted(new)
    elif new.state is JobState.QUEUED and old is not None and old.state is JobState.RUNNING:
        fields |= counts.increment(counts.REQUEUED)
    elif new.state is JobState.RUNNING and new.started_at is not None and new.queued_at is not None:
        since = max(new.queued_at, new.due_at or 0.0)
        fields |= counts.observe(counts.WAITING, max(0.0, new.started_at - since))
    elif new.state.is_final:
        fields |= _ended(new)
    return fields


def _accepted(job: Job) -> dict[str, float]:
    size_bytes = float(job.input.size_bytes or 0)
    return counts.increment(counts.ACCEPTED) | counts.increment(counts.UPLOADED, amount=size_bytes)


def _ended(job: Job) -> dict[str, float]:
    code = job.problem.code if job.problem and job.state is not JobState.SUCCEEDED else "none"
    reason = code if code in counts.REASONS else "other"
    fields = counts.increment(counts.FINISHED, job.state, reason)
    if job.finished_at is not None:
        fields |= counts.observe(counts.TOTAL, max(0.0, job.finished_at - job.created_at))
    memory = job.timeline[-1].memory_peak_bytes if job.timeline else None
    if memory is not None:
        fields |= counts.observe(counts.MEMORY, float(memory))
    if job.report is not None and job.state is JobState.SUCCEEDED:
        fields |= counts.increment(counts.VERDICTS, job.report.tuning.verdict)
    if job.report is not None and job.state is JobState.SUCCEEDED and not job.cached:
        fields |= counts.observe(counts.DECODING, job.report.audio.decode_seconds)
        fields |= counts.observe(counts.ANALYSING, job.report.audio.analysis_seconds)
    return fields
