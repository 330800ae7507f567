"""What the dashboard shows, gathered for its pages and its JSON alike. Blocking.

Every answer comes from counts and indexes: none takes longer because there are more jobs.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import Field

from api.webhooks.service import webhook_warnings
from shared.domain.history import TIME_RANGES, Bucket, Quantiles, TimeRange, merge_buckets
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from shared.ports.admin import AuditLog, JobSearch
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobPage, JobQuery, JobStore
from shared.ports.metrics import History
from shared.ports.uploads import UploadInfo, UploadRegistry
from shared.ports.webhooks import DeliveryStore, EndpointStore
from shared.ports.workers import WorkerCommand, WorkerControl, WorkerInfo, WorkerRegistry
from shared.schemas.job import Timestamp, View

MOST_FOUND = 50
_MOST_UPLOADS = 50
_OLD_SECONDS = 60.0


class QueueView(View):
    """One queue as it stands."""

    name: str
    waiting: int
    oldest_seconds: float | None = Field(description="Age of the job that waits longest.")
    paused: bool


class WorkerView(View):
    """One worker, as it said at its last heartbeat."""

    name: str
    host: str
    pid: int
    seen_seconds_ago: float
    uptime_seconds: float
    queues: list[str]
    concurrency: int
    jobs_done: int
    memory_bytes: int = Field(description="Of the worker and all its children; shared pages count once.")
    memory_limit_bytes: int | None
    current_jobs: list[str]
    draining: bool
    order: str | None = Field(description="What it was told and has not heeded yet, or is heeding.")


class UploadView(View):
    """One upload that is coming in through the API."""

    id: str
    filename: str | None
    received_bytes: int
    declared_bytes: int | None
    seconds: float = Field(description="Since it began.")


class DependencyView(View):
    """Something that we can't work without."""

    name: str
    answers: bool
    milliseconds: float


class QuantilesView(View):
    """Percentiles, right to within 5 %."""

    count: int
    p50: float
    p95: float
    p99: float


class BucketView(View):
    """What happened in one stretch of time."""

    at: float = Field(description="Where it begins, UNIX seconds.")
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
            at=bucket.at,
            counts=bucket.counts,
            reasons=bucket.reasons,
            verdicts=bucket.verdicts,
            waiting=_quantiles(bucket.quantiles("waiting")),
            running=_quantiles(bucket.quantiles("running")),
            memory=_quantiles(bucket.quantiles("memory")),
        )


class HistoryView(View):
    """What became of all jobs, over time."""

    span: str = Field(examples=["hour"])
    bucket_seconds: int
    buckets: list[BucketView] = Field(description="Old to new; the last one is not over.")
    merge_buckets: BucketView


class NowView(View):
    """The service at a glance."""

    at: Timestamp
    well: bool
    warnings: list[str] = Field(description="What an operator should look at, the worst first.")
    queues: list[QueueView]
    states: Mapping[str, int]
    workers: list[WorkerView]
    dependencies: list[DependencyView]
    uploads: list[UploadView] = Field(description="In flight, the oldest first; at most fifty.")
    uploads_in_flight: int
    last_hour: BucketView
    throughput: list[int] = Field(description="Jobs that ended in each of the last sixty minutes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything that the dashboard reads."""

    jobs: JobStore
    audio: AudioStore
    workers: WorkerRegistry
    overview: JobSearch
    history: History
    controls: WorkerControl
    audit: AuditLog
    deliveries: DeliveryStore
    endpoints: EndpointStore
    uploads: UploadRegistry
    queues: tuple[str, ...]

    def now(self) -> NowView:
        """The service at a glance. Raises Unavailable where the job store is away."""
        at = time.time()
        paused, orders = self.controls.paused(), self.controls.commands()
        queues = [self._queue(name, paused, at) for name in self.queues]
        workers = [_worker(worker, orders, at) for worker in self.workers.list_alive()]
        dependencies = [_ask("job store", self.jobs.check), _ask("audio storage", self.audio.check)]
        states = self.overview.count_by_state()
        buckets = self.history.read(TIME_RANGES[0], now=at)
        uploads = sorted(self.uploads.list_alive(), key=lambda upload: upload.started_at)
        warnings = _warnings(queues, workers, dependencies, states)
        warnings += webhook_warnings(self.deliveries, self.endpoints, now=at)
        return NowView(
            at=at,
            well=not warnings,
            warnings=warnings,
            queues=queues,
            states={str(state): count for state, count in states.items()},
            workers=sorted(workers, key=lambda worker: worker.name),
            dependencies=dependencies,
            uploads=[_upload(upload, at) for upload in uploads[:_MOST_UPLOADS]],
            uploads_in_flight=len(uploads),
            last_hour=BucketView.of(merge_buckets(buckets)),
            throughput=[sum(bucket.counts.get(state, 0) for state in _ENDED) for bucket in buckets],
        )

    def over_time(self, span: TimeRange) -> HistoryView:
        """What became of all jobs."""
        buckets = self.history.read(span, now=time.time())
        return HistoryView(
            span=span.name,
            bucket_seconds=span.bucket_seconds,
            buckets=[BucketView.of(bucket) for bucket in buckets],
            merge_buckets=BucketView.of(merge_buckets(buckets)),
        )

    def list(self, query: JobQuery, *, text: str | None) -> JobPage:
        """A page of jobs; with a text, those that are found by it and match the rest."""
        if text is None or not text.strip():
            return self.jobs.page(query)
        found = self.overview.search(text, limit=MOST_FOUND)
        return JobPage(jobs=tuple(job for job in found if _fits(job, query)), cursor=None)

    def _queue(self, name: str, paused: frozenset[str], at: float) -> QueueView:
        backlog = self.jobs.backlog(name)
        since = backlog.oldest_queued_at
        return QueueView(
            name=name,
            waiting=backlog.waiting,
            oldest_seconds=None if since is None else max(0.0, at - since),
            paused=name in paused,
        )


_ENDED = ("succeeded", "failed", "dead", "canceled")


def _fits(job: Job, query: JobQuery) -> bool:
    return (
        (not query.states or job.state in query.states)
        and (query.reason is None or (job.problem is not None and job.problem.code == query.reason))
        and (query.worker is None or (bool(job.timeline) and job.timeline[-1].worker == query.worker))
        and (query.created_after is None or job.created_at >= query.created_after)
        and (query.created_before is None or job.created_at <= query.created_before)
    )


def _worker(worker: WorkerInfo, orders: Mapping[str, WorkerCommand], at: float) -> WorkerView:
    return WorkerView(
        name=worker.name,
        host=worker.host,
        pid=worker.pid,
        seen_seconds_ago=max(0.0, at - worker.seen_at),
        uptime_seconds=max(0.0, at - worker.started_at),
        queues=list(worker.queues),
        concurrency=worker.concurrency,
        jobs_done=worker.jobs_done,
        memory_bytes=worker.memory_bytes,
        memory_limit_bytes=worker.memory_limit_bytes,
        current_jobs=list(worker.current_jobs),
        draining=worker.draining,
        order=orders.get(worker.name),
    )


def _upload(upload: UploadInfo, at: float) -> UploadView:
    return UploadView(
        id=upload.id,
        filename=upload.filename,
        received_bytes=upload.received_bytes,
        declared_bytes=upload.declared_bytes,
        seconds=max(0.0, at - upload.started_at),
    )


def _ask(name: str, check: Callable[[], None]) -> DependencyView:
    began = time.perf_counter()
    try:
        check()
        answers = True
    except Unavailable:
        answers = False
    return DependencyView(name=name, answers=answers, milliseconds=1000 * (time.perf_counter() - began))


def _warnings(
    queues: list[QueueView],
    workers: list[WorkerView],
    dependencies: list[DependencyView],
    states: Mapping[JobState, int],
) -> list[str]:
    found = [f"The {one.name} does not answer." for one in dependencies if not one.answers]
    if not workers:
        found.append("No worker is alive: nothing will be analysed.")
    elif all(worker.draining for worker in workers):
        found.append("Every worker is draining: nothing new is started.")
    found += [f"The queue {queue.name} is paused." for queue in queues if queue.paused]
    for queue in queues:
        if not queue.paused and (queue.oldest_seconds or 0.0) > _OLD_SECONDS:
            found.append(f"A job in {queue.name} has been waiting for more than a minute.")
    for worker in workers:
        if worker.memory_limit_bytes and worker.memory_bytes > 0.9 * worker.memory_limit_bytes:
            found.append(f"The worker {worker.name} uses more than 90 % of its memory.")
    if dead := states.get(JobState.DEAD, 0):
        found.append("One job is dead." if dead == 1 else f"{dead:,} jobs are dead.")
    return found


def _quantiles(found: Quantiles | None) -> QuantilesView | None:
    if found is None:
        return None
    return QuantilesView(count=found.count, p50=found.p50, p95=found.p95, p99=found.p99)
