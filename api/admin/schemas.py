"""The JSON of the dashboard's API under /admin/api."""

from collections.abc import Mapping

from pydantic import Field
from pydantic.config import JsonDict

from shared.domain.history import Bucket, Quantiles
from shared.ports.admin import AuditEntry
from shared.schemas.job import View
from shared.schemas.timestamp import Timestamp

DEPRECATED: JsonDict = {"deprecated": True}


class QueueView(View):
    """A queue."""

    name: str
    waiting: int
    oldest_seconds: float | None = Field(description="Latency: the age of the oldest waiting job.")
    paused: bool
    max_latency_seconds: float = Field(description="A longer latency is a warning.")


class WorkerView(View):
    """A worker, as of its last heartbeat."""

    name: str
    host: str
    pid: int
    seen_seconds_ago: float
    uptime_seconds: float
    queues: list[str]
    concurrency: int
    jobs_done: int
    memory_bytes: int = Field(description="The worker and all its children; shared pages count once.")
    memory_limit_bytes: int | None
    current_jobs: list[str]
    clock_skew_seconds: float = Field(description="How far its clock is ahead of the clock of Redis.")
    draining: bool
    command: str | None = Field(description="`drain` or `restart`, from the request until it is done.")
    order: str | None = Field(description="The old name of `command`.", json_schema_extra=DEPRECATED)


class UploadView(View):
    """An upload in progress through the API."""

    id: str
    filename: str | None
    received_bytes: int
    declared_bytes: int | None
    seconds: float = Field(description="Since it began.")


class DependencyView(View):
    """A server that this service needs."""

    name: str
    answers: bool = Field(description="Whether it is available.")
    milliseconds: float = Field(description="How long the check took.")


class QuantilesView(View):
    """Percentiles, accurate to within 5 %."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, quantiles: Quantiles | None) -> "QuantilesView | None":
        """The view of percentiles, None for none."""
        if quantiles is None:
            return None
        return cls(count=quantiles.count, p50=quantiles.p50, p95=quantiles.p95, p99=quantiles.p99)


class BucketView(View):
    """What happened in one interval of time."""

    start: Timestamp
    at: float = Field(description="The old form of `start`, UNIX seconds.", json_schema_extra=DEPRECATED)
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    verdicts: Mapping[str, int]
    waiting: QuantilesView | None = Field(description="Seconds in the queue.")
    running: QuantilesView | None = Field(description="Seconds of one attempt.")
    memory: QuantilesView | None = Field(description="Peak bytes of one attempt.")

    @classmethod
    def of(cls, bucket: Bucket) -> "BucketView":
        """The view of a bucket."""
        return cls(
            start=bucket.at,
            at=bucket.at,
            counts=bucket.counts,
            reasons=bucket.reasons,
            verdicts=bucket.verdicts,
            waiting=QuantilesView.of(bucket.quantiles("waiting")),
            running=QuantilesView.of(bucket.quantiles("running")),
            memory=QuantilesView.of(bucket.quantiles("memory")),
        )


class HistoryView(View):
    """The outcomes of all jobs over time."""

    span: str = Field(examples=["hour"])
    bucket_seconds: int
    buckets: list[BucketView] = Field(description="Oldest first; the last one is still open.")
    total: BucketView


class OverviewView(View):
    """The service at a glance."""

    at: Timestamp
    well: bool = Field(description="Whether there are no warnings.")
    warnings: list[str] = Field(description="What needs an operator, the worst first.")
    queues: list[QueueView]
    unacknowledged_dead_jobs: int = Field(description="Dead jobs since an operator acknowledged them.")
    states: Mapping[str, int] = Field(description="Jobs in each state.")
    workers: list[WorkerView]
    dependencies: list[DependencyView]
    uploads: list[UploadView] = Field(description="In progress, the oldest first; at most fifty.")
    uploads_in_flight: int
    last_hour: BucketView
    throughput: list[int] = Field(description="Jobs finished in each of the last sixty minutes.")


class AuditEntryView(View):
    """An entry of the audit log."""

    timestamp: Timestamp
    actor: str
    address: str
    action: str
    target: str
    count: int
    at: Timestamp = Field(description="The old name of `timestamp`.", json_schema_extra=DEPRECATED)
    who: str = Field(description="The old name of `actor`.", json_schema_extra=DEPRECATED)
    act: str = Field(description="The old name of `action`.", json_schema_extra=DEPRECATED)
    what: str = Field(description="The old name of `target`.", json_schema_extra=DEPRECATED)

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditEntryView":
        """The view of an entry."""
        return cls(
            timestamp=entry.at,
            actor=entry.who,
            address=entry.address,
            action=entry.act,
            target=entry.what,
            count=entry.count,
            at=entry.at,
            who=entry.who,
            act=entry.act,
            what=entry.what,
        )
