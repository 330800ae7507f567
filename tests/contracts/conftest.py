"""Every suite here runs over the fake and over the real thing."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import httpx2
import pytest
import redis

from shared.access_ports import CountStore, KeyStore, Limiter
from shared.batch_ports import BatchStore
from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.oversight import AuditLog, Controls, History, Overview, Vault
from shared.ports import AudioStore, JobQueue, JobStore, Transitions, WorkerRegistry
from shared.redis_batch_records import BatchRecords
from shared.redis_batches import RedisBatchStore
from shared.redis_claims import RedisClaimStore
from shared.redis_client import connect_redis
from shared.redis_counts import RedisCountStore
from shared.redis_deliveries import RedisDeliveryStore
from shared.redis_jobs import RedisJobStore
from shared.redis_keys import RedisKeyStore
from shared.redis_limits import RedisLimiter
from shared.redis_oversight import RedisAuditLog, RedisControls, RedisOverview, RedisVault
from shared.redis_recall import RedisRecall
from shared.redis_resumables import RedisResumableStore
from shared.redis_statistics import RedisHistory, count_changes
from shared.redis_transitions import RedisTransitions
from shared.redis_uploads import RedisUploadRegistry
from shared.redis_workers import RedisWorkerRegistry
from shared.s3_audio import S3AudioStore, connect_s3
from shared.s3_direct import S3DirectStore
from shared.s3_parts import S3PartStore
from shared.upload_ports import (
    ClaimStore,
    DirectStore,
    PartStore,
    Recall,
    ResumableStore,
    SignedRequest,
    UploadRegistry,
)
from shared.webhook_ports import DeliveryStore
from tests.fake_batches import MemoryBatchStore
from tests.fake_uploads import (
    MemoryClaimStore,
    MemoryDirectStore,
    MemoryPartStore,
    MemoryRecall,
    MemoryResumableStore,
    MemoryUploadRegistry,
)
from tests.fakes import (
    MemoryAudioStore,
    MemoryCountStore,
    MemoryJobQueue,
    MemoryJobStore,
    MemoryKeyStore,
    MemoryLimiter,
    MemoryTransitions,
    MemoryWorkerRegistry,
)
from tests.fakes_oversight import (
    MemoryAuditLog,
    MemoryControls,
    MemoryHistory,
    MemoryOverview,
    MemoryVault,
)
from tests.servers import S3Server, ValkeyServer
from tests.webhook_fakes import MemoryDeliveryStore

KINDS = ("memory", "real")


@pytest.fixture
def client(valkey: ValkeyServer) -> Iterator["redis.Redis"]:
    client = connect_redis(valkey.url)
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}:"


@pytest.fixture(params=KINDS)
def jobs(request: pytest.FixtureRequest, prefix: str) -> JobStore:
    if request.param == "memory":
        return MemoryJobStore()
    client = request.getfixturevalue("client")
    return RedisJobStore(
        client,
        prefix=prefix,
        followers=[count_changes(prefix)],
        companions=[BatchRecords(client, prefix=prefix).beside],
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
def transitions(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> Transitions:
    if isinstance(jobs, MemoryJobStore):
        return MemoryTransitions(jobs)
    return RedisTransitions(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture
def recall(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> Recall:
    if isinstance(jobs, MemoryJobStore):
        return MemoryRecall(jobs)
    return RedisRecall(request.getfixturevalue("client"), prefix=prefix, jobs=jobs)


@pytest.fixture
def overview(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> Overview:
    if isinstance(jobs, MemoryJobStore):
        return MemoryOverview(jobs)
    return RedisOverview(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture
def history(request: pytest.FixtureRequest, jobs: JobStore, prefix: str) -> History:
    if isinstance(jobs, MemoryJobStore):
        return MemoryHistory(jobs)
    return RedisHistory(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def controls(request: pytest.FixtureRequest, prefix: str) -> Controls:
    if request.param == "memory":
        return MemoryControls()
    return RedisControls(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def audit(request: pytest.FixtureRequest, prefix: str) -> AuditLog:
    if request.param == "memory":
        return MemoryAuditLog()
    return RedisAuditLog(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def vault(request: pytest.FixtureRequest, prefix: str) -> Vault:
    if request.param == "memory":
        return MemoryVault()
    return RedisVault(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def uploads(request: pytest.FixtureRequest, prefix: str) -> UploadRegistry:
    if request.param == "memory":
        return MemoryUploadRegistry()
    return RedisUploadRegistry(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def claims(request: pytest.FixtureRequest, prefix: str) -> ClaimStore:
    if request.param == "memory":
        return MemoryClaimStore()
    return RedisClaimStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def workers(request: pytest.FixtureRequest, prefix: str) -> WorkerRegistry:
    if request.param == "memory":
        return MemoryWorkerRegistry()
    return RedisWorkerRegistry(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def keys(request: pytest.FixtureRequest, prefix: str) -> KeyStore:
    if request.param == "memory":
        return MemoryKeyStore()
    return RedisKeyStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def count_store(request: pytest.FixtureRequest, prefix: str) -> CountStore:
    if request.param == "memory":
        return MemoryCountStore()
    return RedisCountStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture(params=KINDS)
def limiter(request: pytest.FixtureRequest, prefix: str) -> Limiter:
    if request.param == "memory":
        return MemoryLimiter()
    return RedisLimiter(request.getfixturevalue("client"), prefix=prefix)


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
        store.prepare(cors_origins=["*"])
        yield store
    s3.close()


@pytest.fixture
def parts(audio: AudioStore) -> PartStore:
    if isinstance(audio, S3AudioStore):
        return S3PartStore(audio._client, bucket=audio._bucket, prefix="audio/")
    assert isinstance(audio, MemoryAudioStore)
    return MemoryPartStore(audio)


@pytest.fixture
def direct(audio: AudioStore, parts: PartStore) -> DirectStore:
    if isinstance(audio, S3AudioStore):
        return _real_direct(audio)
    assert isinstance(audio, MemoryAudioStore)
    assert isinstance(parts, MemoryPartStore)
    return MemoryDirectStore(audio, parts)


@pytest.fixture(params=KINDS)
def resumables(request: pytest.FixtureRequest, prefix: str) -> ResumableStore:
    if request.param == "memory":
        return MemoryResumableStore()
    return RedisResumableStore(request.getfixturevalue("client"), prefix=prefix)


@pytest.fixture
def real_direct(s3: S3Server) -> Iterator[S3DirectStore]:
    with _s3_audio(s3) as store:
        yield _real_direct(store)


def _real_direct(audio: S3AudioStore) -> S3DirectStore:
    return S3DirectStore(
        audio._client,
        public_client=audio._client,
        bucket=audio._bucket,
        prefix="audio/",
        part_bytes=5 * 1024 * 1024,
    )


@pytest.fixture
def put(direct: DirectStore) -> Callable[[SignedRequest, bytes], int]:
    """Send what was offered, as a client does; the status."""
    if isinstance(direct, MemoryDirectStore):
        memory = direct

        def put_to_memory(request: SignedRequest, data: bytes) -> int:
            memory.put(request.url, data)
            return 200

        return put_to_memory
    return lambda request, data: httpx2.put(request.url, content=data, headers=request.headers).status_code
