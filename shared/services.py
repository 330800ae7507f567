"""Settings in, connections out: the one place that picks adapters. Only main files import it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from celery import Celery

from shared.bookkeeper import Bookkeeper
from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.counts import ERRORS, READ, Tally, counted
from shared.job_counts import JobCounts
from shared.outbound import OutboundRules
from shared.outbound_http import Outbound
from shared.oversight import Vault
from shared.redis_batch_records import BatchRecords
from shared.redis_batches import RedisBatchStore
from shared.redis_claims import RedisClaimStore
from shared.redis_client import connect_redis
from shared.redis_counts import RedisCountStore
from shared.redis_deliveries import RedisDeliveryStore
from shared.redis_endpoints import RedisEndpointStore
from shared.redis_jobs import RedisJobStore
from shared.redis_keys import RedisKeyStore
from shared.redis_limits import RedisLimiter
from shared.redis_oversight import RedisAuditLog, RedisControls, RedisOverview, RedisVault
from shared.redis_promises import broken_promises
from shared.redis_recall import RedisRecall
from shared.redis_resumables import RedisResumableStore
from shared.redis_statistics import RedisHistory, count_changes
from shared.redis_transitions import RedisTransitions
from shared.redis_uploads import RedisUploadRegistry
from shared.redis_workers import RedisWorkerRegistry
from shared.s3_audio import S3AudioStore, connect_s3
from shared.s3_direct import S3DirectStore
from shared.s3_parts import S3PartStore
from shared.settings import Settings
from shared.stores import Stores
from shared.traces import Traces, open_traces
from shared.webhook_outbox import WebhookOutbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Stores):
    """Everything from outside, behind its port, and what a process has of its own."""

    vault: Vault
    books: Bookkeeper
    """What this process counts by itself; somebody must call `write`."""
    traces: Traces
    celery: Celery
    outbound: Outbound
    """For addresses that clients give us: callbacks and sources."""
    broken_promises: Callable[[], list[str]]
    """Sentences about settings of Redis under which accepted jobs could be lost. Raises Unavailable."""
    prepare: Callable[[], None]
    """Make what the adapters need and nobody else makes: the bucket. Raises Unavailable."""


def connect(settings: Settings, *, process: str = "tool") -> Services:
    """Pick the adapters. Nothing is contacted yet. `process`: under which kind its errors are counted."""
    tally = Tally()

    def failed(dependency: str) -> None:
        tally.add(counted(ERRORS, process, dependency))

    prefix = settings.redis_prefix
    client = connect_redis(settings.redis_url, on_error=partial(failed, "redis"))
    celery = connect_celery(settings.redis_url, prefix=prefix)
    s3 = connect_s3(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        on_error=partial(failed, "s3"),
        on_read=lambda size: tally.add(counted(READ, amount=size)),
    )
    counts = RedisCountStore(client, prefix=prefix)
    audio = S3AudioStore(
        s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix, part_bytes=settings.s3_part_bytes
    )
    public_s3 = connect_s3(
        endpoint_url=settings.s3_public_url or settings.s3_endpoint_url, region=settings.s3_region
    )
    cors_origins = [origin.strip() for origin in settings.s3_cors_origins.split(",") if origin.strip()]
    batches = BatchRecords(client, prefix=prefix)
    jobs = RedisJobStore(
        client,
        prefix=prefix,
        followers=[WebhookOutbox(prefix=prefix), JobCounts(prefix=prefix), count_changes(prefix)],
        companions=[batches.beside],
    )
    return Services(
        audio=audio,
        broken_promises=partial(broken_promises, client),
        overview=RedisOverview(client, prefix=prefix),
        history=RedisHistory(client, prefix=prefix),
        controls=RedisControls(client, prefix=prefix),
        audit=RedisAuditLog(client, prefix=prefix),
        vault=RedisVault(client, prefix=prefix),
        prepare=partial(audio.prepare, cors_origins=cors_origins),
        direct=S3DirectStore(
            s3,
            public_client=public_s3,
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            part_bytes=settings.direct_part_bytes,
        ),
        jobs=jobs,
        batches=RedisBatchStore(client, jobs=jobs.records, batches=batches),
        recall=RedisRecall(client, prefix=prefix, jobs=jobs),
        deliveries=RedisDeliveryStore(client, prefix=prefix),
        endpoints=RedisEndpointStore(client, prefix=prefix),
        queue=CeleryJobQueue(celery, client, prefix=prefix),
        transitions=RedisTransitions(client, prefix=prefix),
        workers=RedisWorkerRegistry(client, prefix=prefix),
        keys=RedisKeyStore(client, prefix=prefix),
        uploads=RedisUploadRegistry(client, prefix=prefix),
        claims=RedisClaimStore(client, prefix=prefix),
        limiter=RedisLimiter(client, prefix=prefix),
        counts=counts,
        books=Bookkeeper(counts, tally=tally, process=process),
        traces=open_traces(settings.traces_url, process=process),
        parts=S3PartStore(s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix),
        resumables=RedisResumableStore(client, prefix=prefix),
        celery=celery,
        outbound=Outbound(
            rules=OutboundRules(networks=settings.outbound_allowed_networks), proxy=settings.outbound_proxy
        ),
    )
