"""Counts and distributions of what became of jobs, in buckets of time. Pure.

A distribution is counts in bins that grow by 2^(1/8), as in HDR histograms: every percentile is right to
within 5 %, and the bins of many minutes add up exactly.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.domain.job import Job
from shared.domain.measurements import Measured, Measurement, measure_change

_BINS_PER_OCTAVE = 8
_UNITS = {"waiting": 0.001, "running": 0.001, "memory": 1024.0}
"""The upper end of bin 0: seconds, seconds, bytes."""
_DISTRIBUTIONS = {
    Measured.WAITING_SECONDS: "waiting",
    Measured.RUNNING_SECONDS: "running",
    Measured.MEMORY_BYTES: "memory",
}
_COUNTS = {
    Measured.CREATED: "accepted",
    Measured.SUBMITTED: "submitted",
    Measured.CACHED: "cached",
    Measured.STARTED: "started",
    Measured.REQUEUED: "requeued",
    Measured.RETRIED: "requeued",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A time range of the history, in buckets of equal length."""

    name: str
    bucket_seconds: int
    buckets: int

    @property
    def ttl_seconds(self) -> int:
        """How long a bucket is kept."""
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
    """What happened in one period."""

    at: float
    """Its start, UNIX seconds."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """`accepted`, `submitted`, `started`, `requeued`, `cached`, and the final states."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """The problem codes of failed and dead jobs."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    bins: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    """For each measured quantity, the counts of its bins."""

    def quantiles(self, measured: str) -> Quantiles | None:
        """Percentiles of `waiting`, `running` or `memory`; None if nothing was measured."""
        return quantiles(measured, self.bins.get(measured, {}))


def counters_of_change(old: Job | None, new: Job) -> list[tuple[float, str]]:
    """The counters that a change raises by 1, each with the time of its bucket."""
    return [(one.at, name) for one in measure_change(old, new) for name in _counters(one)]


def make_bucket(at: float, counters: Mapping[str, int]) -> Bucket:
    """Counters by name, as `happened` gave them, put in order."""
    by_kind: dict[str, dict[str, int]] = {}
    for name, number in counters.items():
        kind, _, rest = name.partition(":")
        by_kind.setdefault(kind, {})[rest] = number
    return Bucket(
        at=at,
        counts=by_kind.get("count", {}),
        reasons=by_kind.get("reason", {}),
        verdicts=by_kind.get("verdict", {}),
        bins={
            kind: {int(number): count for number, count in by_kind[kind].items()}
            for kind in _UNITS
            if kind in by_kind
        },
    )


def merge_buckets(buckets: Iterable[Bucket]) -> Bucket:
    """The sum of all buckets."""
    at = 0.0
    counters: dict[str, int] = {}

    def add(kind: str, counts: Mapping[str, int] | Mapping[int, int]) -> None:
        for name, number in counts.items():
            counters[f"{kind}:{name}"] = counters.get(f"{kind}:{name}", 0) + number

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


def _counters(measurement: Measurement) -> list[str]:
    if measurement.what is Measured.ENDED:
        state, code = measurement.labels
        return [f"count:{state}", *([f"reason:{code}"] if code else [])]
    if measurement.what is Measured.VERDICT:
        return [f"verdict:{measurement.labels[0]}"]
    if (kind := _DISTRIBUTIONS.get(measurement.what)) is not None:
        return [f"{kind}:{bin_of(kind, measurement.value)}"]
    name = _COUNTS.get(measurement.what)
    return [] if name is None else [f"count:{name}"]
