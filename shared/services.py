"""Connects the adapters that the settings select. Only the main modules import it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from celery import Celery

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.clock import use_clock
from shared.errors import Unavailable, UnsupportedServer
from shared.observability.logs import configure_logs, get_logger
from shared.observability.metrics import ERRORS, READ, increment
from shared.observability.recorder import MetricsBuffer, MetricsRecorder
from shared.observability.traces import Traces, open_traces
from shared.outbound.address_rules import OutboundRules
from shared.outbound.client import OutboundClient
from shared.ports.admin import SecretStore
from shared.ports.stores import Stores
from shared.redis.admin.audit_log import RedisAuditLog
from shared.redis.admin.dashboard import RedisDashboardStore
from shared.redis.admin.secrets import RedisSecretStore
from shared.redis.admin.worker_control import RedisWorkerControl
from shared.redis.api_keys import RedisApiKeyStore
from shared.redis.batches.records import BatchRecords
from shared.redis.batches.store import RedisBatchStore
from shared.redis.client import check_durability, check_supported, connect_redis
from shared.redis.clock import RedisClock
from shared.redis.heartbeats import RedisUploadRegistry, RedisWorkerRegistry
from shared.redis.history import RedisHistory
from shared.redis.idempotency import RedisIdempotencyStore
from shared.redis.installation import RedisInstallationStore
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.report_index import RedisReportIndex
from shared.redis.jobs.search import RedisJobSearch
from shared.redis.jobs.store import RedisJobStore
from shared.redis.jobs.updates import RedisJobUpdateLog
from shared.redis.metrics import RedisMetricsStore
from shared.redis.rate_limits import RedisRateLimiter
from shared.redis.tus_uploads import RedisTusUploadStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from shared.redis.webhooks.outbox import WebhookOutbox
from shared.root_path import use_root_path
from shared.s3.audio_store import S3AudioStore
from shared.s3.bucket import BucketSetup
from shared.s3.client import S3Session, connect_s3, new_session
from shared.s3.multipart import S3PartStore
from shared.s3.presigned import S3PresignedUploadStore
from shared.settings import Settings, read_settings

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Stores):
    """All stores behind their ports, and what one process needs in addition."""

    secrets: SecretStore
    metrics_recorder: MetricsRecorder
    """Counts of this process. The process must call `flush`."""
    traces: Traces
    celery: Celery
    s3_session: S3Session
    """For `connect`, in a process that connects twice."""
    outbound: OutboundClient
    """For URLs that clients send: callbacks, endpoints and source URLs."""
    check_supported: Callable[[], None]
    """Raises UnsupportedServer for a Redis Cluster, and Unavailable."""
    check_durability: Callable[[], list[str]]
    """Warnings about settings of Redis with which accepted jobs can be lost. Raises Unavailable."""
    prepare: Callable[[], None]
    """Create the bucket if it is missing, and set our rules in it. Raises Unavailable."""


def bootstrap(
    process: str, *, on_audio_bytes: Callable[[int], None] = lambda _: None
) -> tuple[Settings, Services]:
    """Read the settings, configure the log and connect the services. Every entry point starts with this."""
    settings = read_settings()
    configure_logs(
        log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
    )
    if settings.deprecated:
        _log.warning("settings_deprecated", renamed=settings.deprecated)
    services = connect(settings, process=process, on_audio_bytes=on_audio_bytes)
    try:
        services.check_supported()
    except UnsupportedServer as error:
        sys.stderr.write(f"kammerton: {error.message}\n")
        raise SystemExit(2) from None
    except Unavailable as error:
        _log.warning(
            "redis_unavailable", reason=error.message, cause=error.cause
        )  # every process waits for it
    return settings, services


def connect(
    settings: Settings,
    *,
    process: str = "tool",
    s3_session: S3Session | None = None,
    on_audio_bytes: Callable[[int], None] = lambda _: None,
) -> Services:
    """Create the adapters without contacting anything. Errors are counted under *process*.

    *on_audio_bytes* gets the number of bytes whenever storage has sent some.
    """
    buffer = MetricsBuffer()

    def failed(dependency: str) -> None:
        buffer.add(increment(ERRORS, process, dependency))

    def received(size: int) -> None:
        buffer.add(increment(READ, amount=size))
        on_audio_bytes(size)

    prefix = settings.redis_prefix
    client = connect_redis(settings.redis_url, on_error=partial(failed, "redis"))
    broker = client
    if settings.broker_url:
        broker = connect_redis(settings.broker_url, on_error=partial(failed, "redis"))
    celery = connect_celery(settings.broker_url or settings.redis_url, prefix=prefix)
    s3_session = s3_session or new_session()
    s3 = connect_s3(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        on_error=partial(failed, "s3"),
        session=s3_session,
    )
    counts = RedisMetricsStore(client, prefix=prefix)
    bucket_setup = BucketSetup(
        client=s3,
        bucket=settings.s3_bucket,
        prefix=settings.s3_prefix,
        rules=settings.s3_bucket_rules,
        cors_origins=settings.s3_cors_origins,
    )
    audio = S3AudioStore(
        s3,
        bucket=settings.s3_bucket,
        prefix=settings.s3_prefix,
        part_bytes=settings.s3_part_bytes,
        on_read=received,
    )
    public_s3 = connect_s3(
        endpoint_url=settings.s3_public_url or settings.s3_endpoint_url,
        region=settings.s3_region,
        session=s3_session,
    )
    batches = BatchRecords(client, prefix=prefix)
    jobs = RedisJobStore(
        client,
        prefix=prefix,
        followers=[WebhookOutbox(prefix=prefix), JobMetricsFollower(prefix=prefix)],
        companions=[batches.change_for_job],
    )
    use_clock(RedisClock(client).now)
    use_root_path(settings.root_path)
    return Services(
        installation=RedisInstallationStore(client, prefix=prefix),
        audio=audio,
        check_supported=partial(check_supported, *{client, broker}),
        check_durability=partial(check_durability, client),
        job_search=RedisJobSearch(client, prefix=prefix),
        history=RedisHistory(client, prefix=prefix),
        worker_control=RedisWorkerControl(client, prefix=prefix),
        audit_log=RedisAuditLog(client, prefix=prefix),
        dashboard=RedisDashboardStore(client, prefix=prefix),
        secrets=RedisSecretStore(client, prefix=prefix),
        prepare=bucket_setup.prepare,
        presigned_uploads=S3PresignedUploadStore(
            s3,
            public_client=public_s3,
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            part_bytes=settings.direct_part_bytes,
        ),
        jobs=jobs,
        batches=RedisBatchStore(client, jobs=jobs.records, batches=batches),
        report_index=RedisReportIndex(client, prefix=prefix, jobs=jobs),
        deliveries=RedisDeliveryStore(
            client, prefix=prefix, retention_seconds=settings.webhook_retention_seconds
        ),
        endpoints=RedisEndpointStore(client, prefix=prefix),
        queue=CeleryJobQueue(celery, broker, prefix=prefix),
        job_updates=RedisJobUpdateLog(client, prefix=prefix),
        workers=RedisWorkerRegistry(client, prefix=prefix),
        api_keys=RedisApiKeyStore(client, prefix=prefix),
        upload_registry=RedisUploadRegistry(client, prefix=prefix),
        idempotency=RedisIdempotencyStore(client, prefix=prefix),
        rate_limiter=RedisRateLimiter(client, prefix=prefix),
        metrics=counts,
        metrics_recorder=MetricsRecorder(counts, buffer=buffer, process=process),
        traces=open_traces(settings.traces_url, process=process),
        parts=S3PartStore(s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix),
        tus_uploads=RedisTusUploadStore(client, prefix=prefix),
        celery=celery,
        s3_session=s3_session,
        outbound=OutboundClient(
            rules=OutboundRules(networks=settings.outbound_allowed_networks), proxy=settings.outbound_proxy
        ),
    )
