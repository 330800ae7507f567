"""Counts and distributions of what became of jobs, in buckets of time. Pure.

A distribution is kept as counts in bins that grow by 2^(1/8), as HDR histograms do: any percentile is
right to within 5 %, and adding up the bins of many minutes is exact.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition

_BINS_PER_OCTAVE = 8
_UNITS = {"waiting": 0.001, "running": 0.001, "memory": 1024.0}
"""What a bin 0 begins at: seconds, seconds, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A stretch of history: so many buckets of so many seconds."""

    name: str
    bucket_seconds: int
    buckets: int

    @property
    def ttl_seconds(self) -> int:
        """How long a bucket must be remembered."""
        return self.bucket_seconds * (self.buckets + 2)


TIME_RANGES = (
    TimeRange(name="hour", bucket_seconds=60, buckets=60),
    TimeRange(name="day", bucket_seconds=900, buckets=96),
    TimeRange(name="week", bucket_seconds=7200, buckets=84),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Of waiting (s), running (s) or memory (bytes)."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What happened in one stretch of time."""

    at: float
    """Where it begins, UNIX seconds."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """`accepted`, `started`, `requeued`, the final states, `cached`: answered from an earlier analysis."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Of failed and dead jobs: the codes of their problems."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    bins: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """By what was measured: the counts of its bins."""

    def quantiles(self, measured: str) -> Quantiles | None:
        """Percentiles of `waiting`, `running` or `memory`; None where nothing was measured."""
        return quantiles(measured, self.bins.get(measured, {}))


def counters_of_change(old: Job | None, new: Job) -> list[tuple[float, list[str]]]:
    """What a change of a job adds to history: when, and the names of the counters to raise."""
    if old is None:
        at_once = [(event.at, ["count:cached", *_ended(event, new)]) for event in new.timeline if new.cached]
        return [(new.created_at, ["count:accepted"]), *at_once]
    known = set(old.timeline)
    return [(event.at, _counters(event, old, new)) for event in new.timeline if event not in known]


def make_bucket(at: float, counters: Mapping[str, int]) -> Bucket:
    """Counters by name, as `happened` gave them, put in order."""
    sorted_out: dict[str, dict[str, int]] = {}
    for name, number in counters.items():
        kind, _, rest = name.partition(":")
        sorted_out.setdefault(kind, {})[rest] = number
    return Bucket(
        at=at,
        counts=sorted_out.get("count", {}),
        reasons=sorted_out.get("reason", {}),
        verdicts=sorted_out.get("verdict", {}),
        bins={
            kind: {int(number): count for number, count in sorted_out[kind].items()}
            for kind in _UNITS
            if kind in sorted_out
        },
    )


def merge_buckets(buckets: Iterable[Bucket]) -> Bucket:
    """All of them as one."""
    at = 0.0
    counters: dict[str, int] = {}

    def add(kind: str, counts: Mapping[str, int] | Mapping[int, int]) -> None:
        for name, number in counts.items():
            key = f"{kind}:{name}"
            counters[key] = counters.get(key, 0) + number

    for one in buckets:
        at = at or one.at
        add("count", one.counts)
        add("reason", one.reasons)
        add("verdict", one.verdicts)
        for kind, bins in one.bins.items():
            add(kind, bins)
    return make_bucket(at, counters)


def quantiles(measured: str, bins: Mapping[int, int]) -> Quantiles | None:
    """Percentiles from the counts of bins."""
    count = sum(bins.values())
    if count == 0:
        return None
    return Quantiles(
        count=count,
        p50=_quantile(measured, bins, 0.50 * count),
        p95=_quantile(measured, bins, 0.95 * count),
        p99=_quantile(measured, bins, 0.99 * count),
    )


def bin_of(measured: str, value: float) -> int:
    """The bin that a value falls into."""
    return math.floor(_BINS_PER_OCTAVE * math.log2(max(value / _UNITS[measured], 1.0)))


def _quantile(measured: str, bins: Mapping[int, int], rank: float) -> float:
    passed = 0
    for number in sorted(bins):
        passed += bins[number]
        if passed >= rank:
            return float(_UNITS[measured] * 2 ** ((number + 0.5) / _BINS_PER_OCTAVE))
    raise AssertionError


def _counters(event: StateTransition, old: Job, new: Job) -> list[str]:
    match event.state:
        case JobState.QUEUED:
            return ["count:requeued"] if event.attempt else ["count:submitted"]
        case JobState.RUNNING:
            since = max(old.queued_at or 0.0, old.due_at or 0.0) or event.at
            return ["count:started", _measured("waiting", event.at - since)]
    found = _ended(event, new)
    if old.state is JobState.RUNNING and old.started_at is not None:
        found.append(_measured("running", event.at - old.started_at))
    return found


def _ended(event: StateTransition, new: Job) -> list[str]:
    found = [f"count:{event.state}"]
    if event.memory_peak_bytes is not None:
        found.append(_measured("memory", event.memory_peak_bytes))
    if new.problem is not None:
        found.append(f"reason:{new.problem.code}")
    if new.report is not None:
        found.append(f"verdict:{new.report.tuning.verdict}")
    return found


def _measured(what: str, value: float) -> str:
    return f"{what}:{bin_of(what, value)}"
