"""/metrics for Prometheus: shared counters, the state of queues and workers, and this process.

Job changes are counted in Redis in the transaction of the change, so every API process reports the same
numbers, and they survive restarts. With several API processes, scrape one of them, or take the `max`.
While Redis does not take them, this process reports the last numbers that it read, and its own new ones.
"""

from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, Depends, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from api.access.authentication import current_operator
from shared.clock import store_time
from shared.errors import Unavailable
from shared.observability import metrics as counts
from shared.observability.logs import get_logger
from shared.observability.recorder import MetricsRecorder
from shared.ports.jobs import Backlog, JobStore, StoreMemory
from shared.ports.metrics import MetricsStore
from shared.ports.workers import WorkerInfo, WorkerRegistry

_log = get_logger(__name__)


class SharedMetricsCollector(Collector):
    """Reads the shared metrics from Redis at every scrape. Blocking."""

    def __init__(
        self,
        *,
        store: MetricsStore,
        jobs: JobStore,
        workers: WorkerRegistry,
        queues: tuple[str, ...],
        pending: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """*pending*: the numbers of this process that are not in the store yet."""
        self._store = store
        self._pending = pending
        self._last_read: Mapping[str, float] | None = None
        self._jobs = jobs
        self._workers = workers
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not read from Redis."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All metrics. Without Redis: the counters that this process knows, and `kammerton_redis_up 0`."""
        up = GaugeMetricFamily(
            "kammerton_redis_up", "Whether Redis responded and took a write when these metrics were read."
        )
        is_up = True
        gauges: list[Metric] = []
        try:
            self._last_read = self._store.read()
            gauges = list(self._gauges())
            self._jobs.check()
        except Unavailable as error:
            _log.warning("metrics_read_failed", reason=error.message)
            is_up = False
        up.add_metric([], is_up)
        yield up
        fields = _sum(self._last_read or {}, self._pending())
        known = {field.partition("|")[0] for field in fields}
        for counter in counts.COUNTERS:
            if self._last_read is not None or counter.name in known:
                yield _counter(counter, fields)
        for histogram in counts.HISTOGRAMS:
            if self._last_read is not None or histogram.name in known:
                yield _histogram(histogram, fields)
        yield from gauges

    def _gauges(self) -> Iterable[Metric]:
        yield from _queues([self._jobs.backlog(queue) for queue in self._queues])
        yield from _memory(self._jobs.memory())
        yield from _workers(self._workers.list_alive())
        seen = GaugeMetricFamily(
            "kammerton_process_seen_timestamp_seconds",
            "When a process of this kind last wrote its metrics.",
            labels=["process"],
        )
        for process, at in sorted(self._store.last_seen().items()):
            seen.add_metric([process], at)
        yield seen


def metrics_router(
    *,
    shared_metrics: SharedMetricsCollector,
    recorder: MetricsRecorder,
    buffer_bytes_in_use: Callable[[], int] | None,
    public: bool,
) -> APIRouter:
    """The route that Prometheus scrapes. Requires a key with `admin:read` unless it is public."""
    router = APIRouter(tags=["health"])
    registry = CollectorRegistry(auto_describe=False)
    registry.register(shared_metrics)
    if buffer_bytes_in_use is not None:
        registry.register(_Buffers(buffer_bytes_in_use))
    ProcessCollector(registry=registry)

    responses: dict[int | str, dict[str, object]] = {
        200: {
            "description": "The Prometheus text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    }
    guard = [] if public else [Depends(current_operator)]

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        responses=responses,
        response_class=Response,
        dependencies=guard,
    )
    def metrics() -> Response:
        recorder.flush()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


class _Buffers(Collector):
    def __init__(self, in_use: Callable[[], int]) -> None:
        self._in_use = in_use

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "kammerton_upload_buffer_bytes",
            "Memory that the uploads of this process use now.",
            value=self._in_use(),
        )


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> Mapping[str, float]:
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in first.keys() | second.keys()}


def _counter(counter: counts.Counter, fields: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    values = dict.fromkeys(counter.known, 0.0)
    for labels, _, amount in _of(counter.name, len(counter.labels), fields):
        values[labels] = amount
    for labels, amount in sorted(values.items()):
        family.add_metric(labels, amount)
    return family


def _histogram(histogram: counts.Histogram, fields: Mapping[str, float]) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    found: dict[tuple[str, ...], dict[str, float]] = {} if histogram.labels else {(): {}}
    for labels, rest, amount in _of(histogram.name, len(histogram.labels), fields):
        found.setdefault(labels, {})[rest] = amount
    for labels, parts in sorted(found.items()):
        running, buckets = 0.0, []
        for upper in [f"{upper:g}" for upper in histogram.buckets] + ["+Inf"]:
            running += parts.get(f"le={upper}", 0.0)
            buckets.append((upper, running))
        family.add_metric(labels, buckets, parts.get("sum", 0.0))
    return family


def _of(name: str, labels: int, fields: Mapping[str, float]) -> Iterable[tuple[tuple[str, ...], str, float]]:
    for field, amount in fields.items():
        first, *parts = field.split("|")
        if first == name and len(parts) >= labels:
            yield tuple(parts[:labels]), "|".join(parts[labels:]), amount


def _queues(backlogs: list[Backlog]) -> Iterable[Metric]:
    depth = GaugeMetricFamily("kammerton_queue_depth", "Queued jobs.", labels=["queue"])
    oldest = GaugeMetricFamily(
        "kammerton_queue_oldest_seconds", "How long the oldest queued job has waited.", labels=["queue"]
    )
    for backlog in backlogs:
        depth.add_metric([backlog.queue], backlog.waiting)
        age = store_time() - backlog.oldest_queued_at if backlog.oldest_queued_at is not None else 0.0
        oldest.add_metric([backlog.queue], max(0.0, age))
    return depth, oldest


def _memory(memory: StoreMemory) -> Iterable[Metric]:
    used = GaugeMetricFamily("kammerton_redis_memory_bytes", "Memory that Redis uses.")
    used.add_metric([], memory.used_bytes)
    ratio = GaugeMetricFamily("kammerton_redis_memory_ratio", "Memory of Redis as a fraction of its limit.")
    ratio.add_metric([], memory.share)
    return used, ratio


def _workers(alive: tuple[WorkerInfo, ...]) -> Iterable[Metric]:
    memory = [
        worker.memory_bytes / worker.memory_limit_bytes for worker in alive if worker.memory_limit_bytes
    ]
    for name, help, value in (
        ("kammerton_workers", "Workers that are running.", len(alive)),
        (
            "kammerton_worker_places",
            "Jobs that all workers can run at the same time.",
            sum(w.concurrency for w in alive),
        ),
        ("kammerton_worker_busy", "Jobs that are running now.", sum(len(w.current_jobs) for w in alive)),
        (
            "kammerton_worker_memory_bytes",
            "Memory of all workers together.",
            sum(w.memory_bytes for w in alive),
        ),
        (
            "kammerton_worker_clock_skew_seconds",
            "Largest difference between a worker's clock and the clock of Redis.",
            max((abs(w.clock_skew_seconds) for w in alive), default=0.0),
        ),
        (
            "kammerton_worker_memory_ratio",
            "Memory as a fraction of its limit, of the fullest worker.",
            max(memory, default=0.0),
        ),
    ):
        yield GaugeMetricFamily(name, help, value=value)
