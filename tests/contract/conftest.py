"""Every suite here runs over the fake and over the real thing."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from unittest import mock

import httpx2
import pytest
import redis

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.ports.access import ApiKeyStore, RateLimiter
from shared.ports.admin import AuditLog, DashboardStore, JobSearch, SecretStore
from shared.ports.audio import AudioStore, PartStore, PresignedRequest, PresignedUploadStore
from shared.ports.batches import BatchStore
from shared.ports.jobs import JobQueue, JobStore, JobUpdateLog
from shared.ports.metrics import History, MetricsStore
from shared.ports.uploads import IdempotencyStore, ReportIndex, TusUploadStore, UploadRegistry
from shared.ports.webhooks import DeliveryStore
from shared.ports.workers import WorkerControl, WorkerRegistry
from shared.redis.admin.audit_log import RedisAuditLog
from shared.redis.admin.dashboard import RedisDashboardStore
from shared.redis.admin.secrets import RedisSecretStore
from shared.redis.admin.worker_control import RedisWorkerControl
from shared.redis.api_keys import RedisApiKeyStore
from shared.redis.batches.records import BatchRecords
from shared.redis.batches.store import RedisBatchStore
from shared.redis.client import connect_redis
from shared.redis.heartbeats import RedisUploadRegistry, RedisWorkerRegistry
from shared.redis.history import RedisHistory
from shared.redis.idempotency import RedisIdempotencyStore
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.report_index import RedisReportIndex
from shared.redis.jobs.search import RedisJobSearch
from shared.redis.jobs.store import RedisJobStore
from shared.redis.jobs.updates import RedisJobUpdateLog
from shared.redis.metrics import RedisMetricsStore
from shared.redis.rate_limits import RedisRateLimiter
from shared.redis.tus_uploads import RedisTusUploadStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.s3.audio_store import S3AudioStore
from shared.s3.bucket import BucketSetup
from shared.s3.client import connect_s3
from shared.s3.multipart import S3PartStore
from shared.s3.presigned import S3PresignedUploadStore
from tests.support.fakes.admin import (
    MemoryAuditLog,
    MemoryDashboardStore,
    MemoryHistory,
    MemoryJobSearch,
    MemorySecretStore,
    MemoryWorkerControl,
)
from tests.support.fakes.batches import MemoryBatchStore
from tests.support.fakes.jobs import (
    MemoryApiKeyStore,
    MemoryAudioStore,
    MemoryJobQueue,
    MemoryJobStore,
    MemoryJobUpdateLog,
    MemoryMetricsStore,
    MemoryRateLimiter,
    MemoryWorkerRegistry,
)
from tests.support.fakes.uploads import (
    MemoryIdempotencyStore,
    MemoryPartStore,
    MemoryPresignedUploadStore,
    MemoryReportIndex,
    MemoryTusUploadStore,
    MemoryUploadRegistry,
)
from tests.support.fakes.webhooks import MemoryDeliveryStore
from tests.support.servers import S3Server, ValkeyServer

KINDS = ("memory", "real")

Store = TypeVar("Store")


@pytest.fixture
def client(valkey: ValkeyServer) -> Iterator["redis.Redis"]:
    client = connect_redis(valkey.url)
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}:"


def _fake_and_real(fake: Callable[[], Store], real: Callable[..., Store]) -> Callable[..., Store]:
    """A fixture of a port whose adapter needs nothing but Redis."""

    def store(request: pytest.FixtureRequest, prefix: str) -> Store:
        return fake() if request.param == "memory" else real(request.getfixturevalue("client"), prefix=prefix)

    return pytest.fixture(params=KINDS)(store)


def _over_the_same_jobs(
    fake: Callable[[MemoryJobStore], Store], real: Callable[..., Store]
) -> Callable[..., Store]:
    """A fixture of a port that reads what `jobs` has written, in the fake or in Redis."""

    def store(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> Store:
        if isinstance(jobs, MemoryJobStore):
            return fake(jobs)
        return real(request.getfixturevalue("client"), prefix=prefix)

    return pytest.fixture(store)


controls: Callable[..., WorkerControl] = _fake_and_real(MemoryWorkerControl, RedisWorkerControl)
audit: Callable[..., AuditLog] = _fake_and_real(MemoryAuditLog, RedisAuditLog)
dashboard: Callable[..., DashboardStore] = _fake_and_real(MemoryDashboardStore, RedisDashboardStore)
vault: Callable[..., SecretStore] = _fake_and_real(MemorySecretStore, RedisSecretStore)
uploads: Callable[..., UploadRegistry] = _fake_and_real(MemoryUploadRegistry, RedisUploadRegistry)
claims: Callable[..., IdempotencyStore] = _fake_and_real(MemoryIdempotencyStore, RedisIdempotencyStore)
workers: Callable[..., WorkerRegistry] = _fake_and_real(MemoryWorkerRegistry, RedisWorkerRegistry)
keys: Callable[..., ApiKeyStore] = _fake_and_real(MemoryApiKeyStore, RedisApiKeyStore)
count_store: Callable[..., MetricsStore] = _fake_and_real(MemoryMetricsStore, RedisMetricsStore)
limiter: Callable[..., RateLimiter] = _fake_and_real(MemoryRateLimiter, RedisRateLimiter)
resumables: Callable[..., TusUploadStore] = _fake_and_real(MemoryTusUploadStore, RedisTusUploadStore)
transitions: Callable[..., JobUpdateLog] = _over_the_same_jobs(MemoryJobUpdateLog, RedisJobUpdateLog)
overview: Callable[..., JobSearch] = _over_the_same_jobs(MemoryJobSearch, RedisJobSearch)
history: Callable[..., History] = _over_the_same_jobs(MemoryHistory, RedisHistory)


@pytest.fixture(params=KINDS)
def jobs(request: pytest.FixtureRequest, prefix: str) -> JobStore:
    if request.param == "memory":
        return MemoryJobStore()
    client = request.getfixturevalue("client")
    return RedisJobStore(
        client,
        prefix=prefix,
        followers=[JobMetricsFollower(prefix=prefix)],
        companions=[BatchRecords(client, prefix=prefix).change_for_job],
    )


@pytest.fixture
def deliveries(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> DeliveryStore:
    if isinstance(jobs, MemoryJobStore):
        return MemoryDeliveryStore()
    return RedisDeliveryStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture
def batches(
    request: pytest.FixtureRequest, jobs: JobStore, deliveries: DeliveryStore, prefix: str
) -> BatchStore:
    if isinstance(deliveries, MemoryDeliveryStore):
        assert isinstance(jobs, MemoryJobStore)
        return MemoryBatchStore(jobs, deliveries)
    assert isinstance(jobs, RedisJobStore)
    client = request.getfixturevalue("client")
    return RedisBatchStore(client, jobs=jobs.records, batches=BatchRecords(client, prefix=prefix))


@pytest.fixture
def recall(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> ReportIndex:
    if isinstance(jobs, MemoryJobStore):
        return MemoryReportIndex(jobs)
    return RedisReportIndex(request.getfixturevalue("client"), prefix=prefix, jobs=jobs)


@pytest.fixture(params=KINDS)
def queue(request: pytest.FixtureRequest, prefix: str) -> Iterator[JobQueue]:
    if request.param == "memory":
        yield MemoryJobQueue()
        return
    server: ValkeyServer = request.getfixturevalue("valkey")
    app = connect_celery(server.url, prefix=prefix)
    yield CeleryJobQueue(app, request.getfixturevalue("client"), prefix=prefix)
    app.close()


@pytest.fixture(params=KINDS)
def audio(request: pytest.FixtureRequest) -> Iterator[AudioStore]:
    if request.param == "memory":
        yield MemoryAudioStore()
        return
    with _s3_audio(request.getfixturevalue("s3")) as store:
        yield store


@contextmanager
def _s3_audio(server: S3Server) -> Iterator[S3AudioStore]:
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    with mock.patch.dict(os.environ, keys):
        s3 = connect_s3(endpoint_url=server.endpoint_url, region=server.region)
        store = S3AudioStore(
            s3, bucket=f"t{uuid.uuid4().hex[:8]}", prefix="audio/", part_bytes=5 * 1024 * 1024
        )
        BucketSetup(client=s3, bucket=store._bucket, prefix="audio/", cors_origins=["*"]).prepare()
        yield store
    s3.close()


@pytest.fixture
def parts(audio: AudioStore) -> PartStore:
    if isinstance(audio, S3AudioStore):
        return S3PartStore(audio._client, bucket=audio._bucket, prefix="audio/")
    assert isinstance(audio, MemoryAudioStore)
    return MemoryPartStore(audio)


@pytest.fixture
def direct(audio: AudioStore, parts: PartStore) -> PresignedUploadStore:
    if isinstance(audio, S3AudioStore):
        return _real_direct(audio)
    assert isinstance(audio, MemoryAudioStore)
    assert isinstance(parts, MemoryPartStore)
    return MemoryPresignedUploadStore(audio, parts)


@pytest.fixture
def real_direct(s3: S3Server) -> Iterator[S3PresignedUploadStore]:
    with _s3_audio(s3) as store:
        yield _real_direct(store)


def _real_direct(audio: S3AudioStore) -> S3PresignedUploadStore:
    return S3PresignedUploadStore(
        audio._client,
        public_client=audio._client,
        bucket=audio._bucket,
        prefix="audio/",
        part_bytes=5 * 1024 * 1024,
    )


@pytest.fixture
def put(direct: PresignedUploadStore) -> Callable[[PresignedRequest, bytes], int]:
    """Send what was offered, as a client does; the status."""
    if isinstance(direct, MemoryPresignedUploadStore):
        memory = direct

        def put_to_memory(request: PresignedRequest, data: bytes) -> int:
            memory.put(request.url, data)
            return 200

        return put_to_memory
    return lambda request, data: httpx2.put(request.url, content=data, headers=request.headers).status_code
