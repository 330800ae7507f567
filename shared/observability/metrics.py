"""The metrics: names, labels and buckets. Pure.

Each value is a field of one Redis hash: `name|label|label`, or for a histogram `name|label|le=0.5` and
`name|label|sum`. Every label has few values, and none that a client can choose.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_BYTES = tuple(float(mib * MIB) for mib in (8, 16, 32, 64, 96, 128, 160, 200, 256, 384, 512, 1024))


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts events."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    """Label values that are exported as 0 from the start, so that the first event shows as an increase."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts measurements in buckets. *buckets* are inclusive upper limits; a last bucket has none."""

    name: str
    help: str
    buckets: tuple[float, ...]
    labels: tuple[str, ...] = ()


REASONS = (
    "none",
    "no_audio",
    "undecodable",
    "incomplete",
    "unanalysable",
    "too_complex",
    "audio_missing",
    "channels",
    "sample_rate",
    "bad_samples",
    "too_many_crashes",
    "source_away",
    "source_refused",
    "source_forbidden",
    "source_not_found",
    "source_redirects",
    "source_bad_answer",
    "source_changed",
    "source_too_slow",
    "unsupported_media",
    "too_large",
    "address_refused",
    "other",
)
_ENDS = [("succeeded", "none"), ("canceled", "none"), ("dead", "too_many_crashes")]
_FAILURES = [("failed", reason) for reason in REASONS[1:]]
PROCESSES = ("api", "worker", "rescuer", "notifier")

FINISHED = Counter("kammerton_jobs_finished", "Finished jobs.", ("state", "reason"), (*_ENDS, *_FAILURES))
ACCEPTED = Counter("kammerton_jobs_accepted", "Accepted jobs.", known=((),))
CACHED = Counter("kammerton_jobs_cached", "Jobs answered from an earlier analysis.", known=((),))
REQUEUED = Counter("kammerton_jobs_requeued", "Attempts that ended without a result.", known=((),))
VERDICTS = Counter(
    "kammerton_verdicts",
    "Reports by their verdict.",
    ("verdict",),
    (("432",), ("440",), ("other",), ("inconclusive",)),
)
UPLOADED = Counter("kammerton_uploaded_bytes", "Bytes of the files of accepted jobs.", known=((),))
READ = Counter("kammerton_storage_read_bytes", "Bytes fetched from storage.", known=((),))
FETCHED = Counter("kammerton_source_read_bytes", "Bytes fetched from source URLs.", known=((),))
ERRORS = Counter(
    "kammerton_dependency_errors",
    "Failed calls to Redis or S3, including retried ones.",
    ("process", "dependency"),
    tuple((process, dependency) for process in PROCESSES for dependency in ("redis", "s3")),
)
WEBHOOKS = Counter(
    "kammerton_webhook_attempts",
    "Attempts to deliver a webhook, by outcome.",
    ("outcome",),
    (("delivered",), ("failed",), ("given_up",)),
)
MAINTENANCE_STEPS = ("expiry", "leases", "enqueue", "audio", "removed", "orphans", "sweep_refused")
MAINTENANCE_FAILURES = Counter(
    "kammerton_maintenance_failures",
    "Repairs by the rescuer that failed, by step.",
    ("step",),
    tuple((step,) for step in MAINTENANCE_STEPS),
)
LOGINS = Counter(
    "kammerton_logins",
    "Logins to the dashboard, by outcome.",
    ("outcome",),
    (("succeeded",), ("failed",), ("refused",)),
)
BUGS = Counter("kammerton_unexpected_errors", "Requests that failed because of a bug.", known=((),))
REQUESTS = Counter("kammerton_http_requests", "HTTP requests with a response.", ("method", "route", "status"))

WAITING = Histogram("kammerton_job_waiting_seconds", "Time from queued to started.", _SECONDS)
DECODING = Histogram("kammerton_job_decode_seconds", "Time to decode one window.", _SECONDS)
ANALYSING = Histogram("kammerton_job_analysis_seconds", "Time to measure one window.", _SECONDS)
TOTAL = Histogram("kammerton_job_total_seconds", "Time from the request to the end of the job.", _SECONDS)
MEMORY = Histogram(
    "kammerton_job_memory_peak_bytes", "Peak memory of one attempt, without the worker's own.", _BYTES
)
LATENCY = Histogram(
    "kammerton_http_request_seconds", "Time from a request to the end of its response.", _SECONDS, ("route",)
)

COUNTERS = (
    FINISHED,
    ACCEPTED,
    CACHED,
    REQUEUED,
    VERDICTS,
    UPLOADED,
    READ,
    FETCHED,
    ERRORS,
    WEBHOOKS,
    MAINTENANCE_FAILURES,
    LOGINS,
    BUGS,
    REQUESTS,
)
HISTOGRAMS = (WAITING, DECODING, ANALYSING, TOTAL, MEMORY, LATENCY)

_UNSAFE = re.compile(r"[^A-Za-z0-9_./:{}*-]")


def field_name(name: str, labels: Sequence[str], rest: str = "") -> str:
    """The name of a field in the hash."""
    safe = (_UNSAFE.sub("_", label)[:80] for label in labels)
    return "|".join((name, *safe, *((rest,) if rest else ())))


def increment(counter: Counter, *labels: str, amount: float = 1) -> dict[str, float]:
    """The field that an event increases, and by how much."""
    return {field_name(counter.name, labels): amount}


def observe(histogram: Histogram, value: float, *labels: str) -> dict[str, float]:
    """The two fields that a measurement increases, and by how much."""
    bucket = next((f"{upper:g}" for upper in histogram.buckets if value <= upper), "+Inf")
    return {
        field_name(histogram.name, labels, f"le={bucket}"): 1,
        field_name(histogram.name, labels, "sum"): value,
    }
