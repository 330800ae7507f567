"""Reads what the dashboard shows, for its pages and its JSON alike. Blocking.

Every answer comes from counters, indexes and bounded reads, so none takes longer because there are more jobs.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Annotated

from api.admin.job_filter import JobOrder
from api.admin.schemas import (
    BucketView,
    DependencyView,
    HistoryView,
    OverviewView,
    QueueView,
    UploadView,
    WorkerView,
)
from api.admin.warnings import warnings_of
from api.http.provided import provided
from api.webhooks.service import webhook_warnings
from shared.clock import store_time
from shared.domain.history import TIME_RANGES, TimeRange, merge_buckets
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import TuningReport
from shared.errors import NotFound, Unavailable
from shared.ports.admin import AuditLog, DashboardStore, JobSearch
from shared.ports.audio import AudioStore
from shared.ports.batches import BatchStore
from shared.ports.jobs import JobPage, JobQuery, JobStore
from shared.ports.metrics import History
from shared.ports.uploads import UploadInfo, UploadRegistry
from shared.ports.webhooks import DeliveryStore, EndpointStore
from shared.ports.workers import WorkerCommand, WorkerControl, WorkerInfo, WorkerRegistry

MAX_FOUND = 50
DEAD_JOBS = "dead jobs"
MAX_SORTED = 10_000
MAX_SORTED_RESULTS = 1000
"""Results are sorted among fewer jobs: each is another read."""
_SORTED_PER_READ = 2500
_MAX_LATENCY_SECONDS = 60.0
_MAX_UPLOADS = 50
_FINISHED = ("succeeded", "failed", "dead", "canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedJobs:
    """One page of jobs that are sorted by a column."""

    page: JobPage
    count: int
    """How many jobs were sorted."""
    is_complete: bool
    """Whether these are all that match; else only the newest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything that the dashboard reads."""

    jobs: JobStore
    audio: AudioStore
    workers: WorkerRegistry
    search: JobSearch
    history: History
    controls: WorkerControl
    audit: AuditLog
    store: DashboardStore
    deliveries: DeliveryStore
    endpoints: EndpointStore
    uploads: UploadRegistry
    batches: BatchStore
    queues: tuple[str, ...]
    max_latency_seconds: Mapping[str, float] = field(default_factory=dict)
    """By queue: a longer latency is a warning."""
    _sorting: Lock = field(default_factory=Lock)
    """One list is sorted at a time: each holds up to `MAX_SORTED` records."""

    def now(self) -> OverviewView:
        """The service at a glance. Raises Unavailable if the job store is."""
        now = store_time()
        paused, commands = self.controls.paused(), self.controls.commands()
        queues = [self._queue(name, paused, now) for name in self.queues]
        workers = [_worker_view(worker, commands, now) for worker in self.workers.list_alive()]
        dependencies = [_check("job store", self.jobs.check), _check("audio storage", self.audio.check)]
        states = self.search.count_by_state()
        buckets = self.history.read(TIME_RANGES[0], now=now)
        uploads = sorted(self.uploads.list_alive(), key=lambda upload: upload.started_at)
        dead = states.get(JobState.DEAD, 0)
        acknowledged = min(dead, self.store.acknowledged().get(DEAD_JOBS, 0))
        warnings = warnings_of(queues, workers, dependencies, dead_jobs=dead - acknowledged)
        warnings += webhook_warnings(self.deliveries, self.endpoints, now=now)
        return OverviewView(
            at=now,
            well=not warnings,
            warnings=warnings,
            queues=queues,
            unacknowledged_dead_jobs=dead - acknowledged,
            states={str(state): count for state, count in states.items()},
            workers=sorted(workers, key=lambda worker: worker.name),
            dependencies=dependencies,
            uploads=[_upload_view(upload, now) for upload in uploads[:_MAX_UPLOADS]],
            uploads_in_flight=len(uploads),
            last_hour=BucketView.of(merge_buckets(buckets)),
            throughput=[sum(bucket.counts.get(state, 0) for state in _FINISHED) for bucket in buckets],
        )

    def over_time(self, span: TimeRange) -> HistoryView:
        """The outcomes of all jobs."""
        buckets = self.history.read(span, now=store_time())
        return HistoryView(
            span=span.name,
            bucket_seconds=span.bucket_seconds,
            buckets=[BucketView.of(bucket) for bucket in buckets],
            total=BucketView.of(merge_buckets(buckets)),
        )

    def list(self, query: JobQuery, *, text: str | None) -> JobPage:
        """A page of jobs; with a text or a batch, those of its jobs that match the query."""
        if text is not None and text.strip():
            return self._matching(query, self.search.search(text, limit=MAX_FOUND))
        if query.batch_id is not None:
            with suppress(NotFound):  # the batch may be deleted before its jobs
                return self._matching(query, self._jobs_of_batch(query.batch_id))
        return self.jobs.page(query)

    def sorted_list(self, query: JobQuery, order: JobOrder, *, text: str | None, offset: int) -> SortedJobs:
        """A page of all jobs that match, or of the newest of them, in the order of a column."""
        by_result = order.column == "result"
        limit = MAX_SORTED_RESULTS if by_result else _SORTED_PER_READ
        jobs: list[Job] = []
        cursor: str | None = None
        with self._sorting:
            for _ in range(1 if by_result else MAX_SORTED // limit):
                found = self.list(replace(query, cursor=cursor, limit=limit), text=text)
                jobs += found.jobs
                cursor = found.cursor
                if cursor is None:
                    break
            ordered = order.apply(jobs, self.results(jobs) if by_result else {})
        end = offset + query.limit
        page = JobPage(
            jobs=tuple(ordered[offset:end]),
            cursor=str(end) if end < len(ordered) else None,
            previous_cursor=str(max(0, offset - query.limit)) if offset else None,
        )
        return SortedJobs(page=page, count=len(ordered), is_complete=cursor is None)

    def _matching(self, query: JobQuery, found: Iterable[Job]) -> JobPage:
        """One page of those jobs that match a query, in its order."""
        if query.verdict is not None:  # jobs are found without their reports
            found = [self.jobs.get(job.id) for job in found]
        jobs = [job for job in found if query.matches(job)]
        jobs.sort(key=lambda job: (job.created_at, job.id), reverse=not query.oldest_first)
        return JobPage(jobs=tuple(jobs), cursor=None)

    def _jobs_of_batch(self, batch_id: str) -> Iterable[Job]:
        batch = self.batches.get(batch_id)
        found = self.jobs.get_many([item.job_id for item in batch.items])
        return [job for job in found.values() if job is not None]

    def results(self, jobs: Iterable[Job]) -> Mapping[str, TuningReport]:
        """The measured tuning of those jobs that have one, by id."""
        finished = [job.id for job in jobs if job.state is JobState.SUCCEEDED]
        found: dict[str, TuningReport] = {}
        for job_id in finished:
            with suppress(NotFound):
                report = self.jobs.get(job_id).report
                if report is not None:
                    found[job_id] = report.tuning
        return found

    def _queue(self, name: str, paused: frozenset[str], now: float) -> QueueView:
        backlog = self.jobs.backlog(name)
        since = backlog.oldest_queued_at
        return QueueView(
            name=name,
            waiting=backlog.waiting,
            oldest_seconds=None if since is None else max(0.0, now - since),
            paused=name in paused,
            max_latency_seconds=self.max_latency_seconds.get(name, _MAX_LATENCY_SECONDS),
        )

    def acknowledge_dead_jobs(self) -> int:
        """Hide the warning about the dead jobs that there are now. Returns how many."""
        dead = self.search.count_by_state().get(JobState.DEAD, 0)
        self.store.acknowledge(DEAD_JOBS, dead)
        return dead


ProvidedOverview = Annotated[Overview, provided(Overview)]


def _worker_view(worker: WorkerInfo, commands: Mapping[str, WorkerCommand], now: float) -> WorkerView:
    command = commands.get(worker.name)
    return WorkerView(
        name=worker.name,
        host=worker.host,
        pid=worker.pid,
        seen_seconds_ago=max(0.0, now - worker.seen_at),
        uptime_seconds=max(0.0, now - worker.started_at),
        queues=list(worker.queues),
        concurrency=worker.concurrency,
        jobs_done=worker.jobs_done,
        memory_bytes=worker.memory_bytes,
        memory_limit_bytes=worker.memory_limit_bytes,
        current_jobs=list(worker.current_jobs),
        clock_skew_seconds=worker.clock_skew_seconds,
        draining=worker.draining,
        command=command,
        order=command,
    )


def _upload_view(upload: UploadInfo, now: float) -> UploadView:
    return UploadView(
        id=upload.id,
        filename=upload.filename,
        received_bytes=upload.received_bytes,
        declared_bytes=upload.declared_bytes,
        seconds=max(0.0, now - upload.started_at),
    )


def _check(name: str, check: Callable[[], None]) -> DependencyView:
    start = time.perf_counter()
    try:
        check()
        is_available = True
    except Unavailable:
        is_available = False
    milliseconds = 1000 * (time.perf_counter() - start)
    return DependencyView(name=name, answers=is_available, milliseconds=milliseconds)
