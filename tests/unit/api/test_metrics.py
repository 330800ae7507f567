import subprocess
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.domain.api_key import Scope
from shared.errors import Unavailable
from shared.observability.job_metrics import metrics_of_change
from shared.observability.metrics import ERRORS, WEBHOOKS, increment
from shared.observability.recorder import MetricsBuffer, MetricsRecorder
from shared.ports.jobs import StoreMemory
from shared.ports.workers import WorkerInfo
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryJobStore, MemoryMetricsStore
from tests.support.promtool import find_promtool

SONG = b"RIFF" + bytes(100)


def unavailable(*_: Any, **__: Any) -> Any:
    raise Unavailable("unavailable")


@pytest.fixture
def store() -> MemoryMetricsStore:
    return MemoryMetricsStore()


@pytest.fixture
def metrics_api(store: MemoryMetricsStore) -> ApiHarness:
    books = MetricsRecorder(store, buffer=MetricsBuffer(), process="api")
    return ApiHarness(metrics=store, metrics_recorder=books, metrics_public=True)


def read(api: ApiHarness) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = api.client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def run_job_to_success(store: MemoryMetricsStore) -> None:
    """One job from its upload to its report, as the follower counts it."""
    job = make_job(created_at=1.0, queued_at=1.0, due_at=1.0)
    running = job.start(worker="w", now=4.0, lease_seconds=15)
    ended = running.succeed(1, make_report(), now=9.0, memory_peak_bytes=100 * 1024 * 1024)
    for old, new in ((None, job), (job, running), (running, ended)):
        store.add(metrics_of_change(old, new), process="worker", now=5.0)


def test_counts_of_jobs_are_exported(metrics_api: ApiHarness, store: MemoryMetricsStore) -> None:
    run_job_to_success(store)
    found = read(metrics_api)
    assert found["kammerton_jobs_finished_total", labels(state="succeeded", reason="none")] == 1
    assert found["kammerton_jobs_finished_total", labels(state="failed", reason="no_audio")] == 0
    assert found["kammerton_uploaded_bytes_total", ()] == 5
    assert found["kammerton_job_waiting_seconds_bucket", labels(le="2.5")] == 0
    assert found["kammerton_job_waiting_seconds_bucket", labels(le="5")] == 1
    assert found["kammerton_job_waiting_seconds_bucket", labels(le="+Inf")] == 1
    assert found["kammerton_job_waiting_seconds_sum", ()] == 3
    assert found["kammerton_job_waiting_seconds_count", ()] == 1
    assert found["kammerton_job_memory_peak_bytes_bucket", labels(le="1.34218e+08")] == 1
    assert found["kammerton_redis_up", ()] == 1


def test_the_current_queues_are_exported(metrics_api: ApiHarness) -> None:
    metrics_api.jobs.add(make_job(queued_at=time.time() - 100))
    found = read(metrics_api)
    assert found["kammerton_queue_depth", labels(queue="interactive")] == 1
    assert 100 <= found["kammerton_queue_oldest_seconds", labels(queue="interactive")] < 200
    assert found["kammerton_queue_depth", labels(queue="batch")] == 0
    assert found["kammerton_queue_oldest_seconds", labels(queue="batch")] == 0


def test_workers_are_exported_as_totals(metrics_api: ApiHarness) -> None:
    for number, memory in ((1, 50), (2, 80)):
        metrics_api.workers.heartbeat(
            WorkerInfo(
                name=f"h:{number}",
                host="h",
                pid=number,
                started_at=1,
                seen_at=1,
                concurrency=2,
                memory_bytes=memory,
                memory_limit_bytes=100,
                current_jobs=("x",),
            )
        )
    found = read(metrics_api)
    numbers = {name: found[f"kammerton_worker{name}", ()] for name in ("s", "_places", "_busy")}
    assert numbers == {"s": 2, "_places": 4, "_busy": 2}
    assert found["kammerton_worker_memory_bytes", ()] == 130
    assert found["kammerton_worker_memory_ratio", ()] == 0.8


def test_the_worst_clock_of_a_worker_is_exported(metrics_api: ApiHarness) -> None:
    for number, skew in ((1, 0.2), (2, -300.0)):
        metrics_api.workers.heartbeat(
            WorkerInfo(
                name=f"h:{number}", host="h", pid=number, started_at=1, seen_at=1, clock_skew_seconds=skew
            )
        )
    assert read(metrics_api)["kammerton_worker_clock_skew_seconds", ()] == 300


def test_the_memory_of_redis_is_exported(metrics_api: ApiHarness) -> None:
    metrics_api.jobs.used_memory = StoreMemory(used_bytes=80, limit_bytes=100)
    found = read(metrics_api)
    assert (found["kammerton_redis_memory_bytes", ()], found["kammerton_redis_memory_ratio", ()]) == (80, 0.8)
    metrics_api.jobs.used_memory = StoreMemory(used_bytes=80, limit_bytes=None)
    assert read(metrics_api)["kammerton_redis_memory_ratio", ()] == 0


def test_requests_are_counted_by_route_not_by_path(metrics_api: ApiHarness) -> None:
    for path in ("/v1/jobs/a", "/v1/jobs/b", "/made/up/1", "/made/up/2"):
        metrics_api.client.get(path)
    metrics_api.client.request("BREW", "/v1/jobs/a")
    found = read(metrics_api)
    assert (
        found["kammerton_http_requests_total", labels(method="GET", route="/v1/jobs/{job_id}", status="404")]
        == 2
    )
    assert found["kammerton_http_requests_total", labels(method="GET", route="unknown", status="404")] == 2
    assert not [key for key in found if "BREW" in str(key) or "made" in str(key)]
    assert found["kammerton_http_request_seconds_count", labels(route="/v1/jobs/{job_id}")] >= 2


def test_a_request_that_fails_because_of_a_bug_is_counted(metrics_api: ApiHarness) -> None:
    def broken(job_id: str) -> Any:
        raise ZeroDivisionError

    assert read(metrics_api)["kammerton_unexpected_errors_total", ()] == 0
    metrics_api.jobs.get = broken  # type: ignore[method-assign]
    metrics_api.client.get("/v1/jobs/x")
    assert read(metrics_api)["kammerton_unexpected_errors_total", ()] == 1


def test_errors_of_dependencies_and_webhook_attempts_are_exported(
    metrics_api: ApiHarness, store: MemoryMetricsStore
) -> None:
    store.add(increment(ERRORS, "worker", "s3", amount=3), process="worker", now=1.0)
    store.add(increment(WEBHOOKS, "delivered"), process="notifier", now=7.0)
    found = read(metrics_api)
    assert found["kammerton_dependency_errors_total", labels(process="worker", dependency="s3")] == 3
    assert found["kammerton_dependency_errors_total", labels(process="api", dependency="redis")] == 0
    assert found["kammerton_webhook_attempts_total", labels(outcome="delivered")] == 1
    assert found["kammerton_process_seen_timestamp_seconds", labels(process="notifier")] == 7


def test_metrics_are_exported_without_redis(metrics_api: ApiHarness, store: MemoryMetricsStore) -> None:
    store.read = unavailable  # type: ignore[method-assign]
    found = read(metrics_api)
    assert found["kammerton_redis_up", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 0
    assert not [name for name, _ in found if name.startswith("kammerton_jobs")]


def test_errors_are_exported_while_redis_takes_no_writes(store: MemoryMetricsStore) -> None:
    recorder = MetricsRecorder(store, buffer=MetricsBuffer(), process="api")
    jobs = MemoryJobStore()
    api = ApiHarness(metrics=store, metrics_recorder=recorder, metrics_public=True, jobs=jobs)
    run_job_to_success(store)
    errors = "kammerton_dependency_errors_total", labels(process="api", dependency="redis")
    recorder.add(increment(ERRORS, "api", "redis"))
    assert read(api)[errors] == 1
    store.add = jobs.check = unavailable  # type: ignore[method-assign]
    recorder.add(increment(ERRORS, "api", "redis"))
    found = read(api)
    assert (found["kammerton_redis_up", ()], found[errors]) == (0, 2)
    store.read = unavailable  # type: ignore[method-assign]
    recorder.add(increment(ERRORS, "api", "redis"))
    found = read(api)
    assert found[errors] == 3
    assert found["kammerton_jobs_finished_total", labels(state="succeeded", reason="none")] == 1


def test_counts_that_could_not_be_written_are_written_later(store: MemoryMetricsStore) -> None:
    books = MetricsRecorder(store, buffer=MetricsBuffer(), process="api")
    books.buffer.add({"a": 1})
    add, store.add = store.add, unavailable  # type: ignore[method-assign]
    books.flush()
    store.add = add  # type: ignore[method-assign]
    books.buffer.add({"a": 1})
    books.flush()
    books.flush()
    assert store.fields == {"a": 2}


def test_metrics_need_an_operators_key_unless_they_are_public(private_api: ApiHarness) -> None:
    def status(*scopes: Scope) -> int:
        headers = {"Authorization": f"Bearer {private_api.token(*scopes)}"} if scopes else {}
        return private_api.client.get("/metrics", headers=headers).status_code

    assert (status(), status(Scope.JOBS_READ), status(Scope.ADMIN_READ)) == (401, 403, 200)


def test_promtool_accepts_the_metrics(metrics_api: ApiHarness, store: MemoryMetricsStore) -> None:
    promtool = find_promtool()
    run_job_to_success(store)
    metrics_api.client.get("/v1/jobs/a")
    text = metrics_api.client.get("/metrics").text
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
