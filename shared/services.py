"""Settings in, connections out: the one place that picks adapters. Only main files import it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from celery import Celery

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.observability.logs import configure_logs
from shared.observability.metrics import ERRORS, READ, MetricsBuffer, MetricsRecorder, counted
from shared.observability.traces import Traces, open_traces
from shared.outbound.address_rules import OutboundRules
from shared.outbound.client import Outbound
from shared.ports.admin import SecretStore
from shared.ports.stores import Stores
from shared.redis.admin import RedisAuditLog, RedisSecretStore, RedisWorkerControl
from shared.redis.api_keys import RedisKeyStore
from shared.redis.batches import BatchRecords, RedisBatchStore
from shared.redis.client import check_durability, connect_redis
from shared.redis.deliveries import RedisDeliveryStore, WebhookOutbox
from shared.redis.endpoints import RedisEndpointStore
from shared.redis.heartbeats import RedisUploadRegistry, RedisWorkerRegistry
from shared.redis.idempotency import RedisIdempotencyStore
from shared.redis.job_search import RedisJobSearch, RedisReportIndex
from shared.redis.jobs import RedisJobStore, RedisJobUpdateLog
from shared.redis.metrics import JobCounts, RedisHistory, RedisMetricsStore, count_changes
from shared.redis.rate_limits import RedisRateLimiter
from shared.redis.tus_uploads import RedisTusUploadStore
from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from shared.s3.multipart import S3PartStore
from shared.s3.presigned import S3PresignedUploadStore
from shared.settings import Settings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Stores):
    """Everything from outside, behind its port, and what a process has of its own."""

    vault: SecretStore
    books: MetricsRecorder
    """What this process counts by itself; somebody must call `write`."""
    traces: Traces
    celery: Celery
    outbound: Outbound
    """For addresses that clients give us: callbacks and sources."""
    check_durability: Callable[[], list[str]]
    """Sentences about settings of Redis under which accepted jobs could be lost. Raises Unavailable."""
    prepare: Callable[[], None]
    """Make what the adapters need and nobody else makes: the bucket. Raises Unavailable."""


def bootstrap(process: str) -> tuple[Settings, Services]:
    """Read the settings, configure the log and connect the services. Every entry point starts with this."""
    settings = read_settings()
    configure_logs(
        log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
    )
    return settings, connect(settings, process=process)


def connect(settings: Settings, *, process: str = "tool") -> Services:
    """Pick the adapters. Nothing is contacted yet. `process`: under which kind its errors are counted."""
    tally = MetricsBuffer()

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
    counts = RedisMetricsStore(client, prefix=prefix)
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
        check_durability=partial(check_durability, client),
        overview=RedisJobSearch(client, prefix=prefix),
        history=RedisHistory(client, prefix=prefix),
        controls=RedisWorkerControl(client, prefix=prefix),
        audit=RedisAuditLog(client, prefix=prefix),
        vault=RedisSecretStore(client, prefix=prefix),
        prepare=partial(audio.prepare, cors_origins=cors_origins),
        direct=S3PresignedUploadStore(
            s3,
            public_client=public_s3,
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            part_bytes=settings.direct_part_bytes,
        ),
        jobs=jobs,
        batches=RedisBatchStore(client, jobs=jobs.records, batches=batches),
        recall=RedisReportIndex(client, prefix=prefix, jobs=jobs),
        deliveries=RedisDeliveryStore(client, prefix=prefix),
        endpoints=RedisEndpointStore(client, prefix=prefix),
        queue=CeleryJobQueue(celery, client, prefix=prefix),
        transitions=RedisJobUpdateLog(client, prefix=prefix),
        workers=RedisWorkerRegistry(client, prefix=prefix),
        keys=RedisKeyStore(client, prefix=prefix),
        uploads=RedisUploadRegistry(client, prefix=prefix),
        claims=RedisIdempotencyStore(client, prefix=prefix),
        limiter=RedisRateLimiter(client, prefix=prefix),
        counts=counts,
        books=MetricsRecorder(counts, tally=tally, process=process),
        traces=open_traces(settings.traces_url, process=process),
        parts=S3PartStore(s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix),
        resumables=RedisTusUploadStore(client, prefix=prefix),
        celery=celery,
        outbound=Outbound(
            rules=OutboundRules(networks=settings.outbound_allowed_networks), proxy=settings.outbound_proxy
        ),
    )
