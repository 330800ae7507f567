"""Settings in, connections out: the one place that picks adapters. Only main files import it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from celery import Celery

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.outbound import OutboundRules
from shared.outbound_http import Outbound
from shared.ports import (
    AudioStore,
    ClaimStore,
    DirectStore,
    JobQueue,
    JobStore,
    KeyStore,
    PartStore,
    ResumableStore,
    Transitions,
    UploadRegistry,
    WorkerRegistry,
)
from shared.redis_claims import RedisClaimStore
from shared.redis_deliveries import RedisDeliveryStore
from shared.redis_endpoints import RedisEndpointStore
from shared.redis_jobs import RedisJobStore, connect_redis
from shared.redis_keys import RedisKeyStore
from shared.redis_resumables import RedisResumableStore
from shared.redis_transitions import RedisTransitions
from shared.redis_uploads import RedisUploadRegistry
from shared.redis_workers import RedisWorkerRegistry
from shared.s3_audio import S3AudioStore, connect_s3
from shared.s3_direct import S3DirectStore
from shared.s3_parts import S3PartStore
from shared.settings import Settings
from shared.webhook_outbox import WebhookOutbox
from shared.webhook_ports import DeliveryStore, EndpointStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything from outside, behind its port."""

    audio: AudioStore
    direct: DirectStore
    parts: PartStore
    resumables: ResumableStore
    jobs: JobStore
    queue: JobQueue
    workers: WorkerRegistry
    keys: KeyStore
    transitions: Transitions
    uploads: UploadRegistry
    claims: ClaimStore
    deliveries: DeliveryStore
    endpoints: EndpointStore
    celery: Celery
    outbound: Outbound
    """For addresses that clients give us: callbacks and sources."""
    prepare: Callable[[], None]
    """Make what the adapters need and nobody else makes: the bucket. Raises Unavailable."""


def connect(settings: Settings) -> Services:
    """Pick the adapters. Nothing is contacted yet."""
    client = connect_redis(settings.redis_url)
    celery = connect_celery(settings.redis_url, prefix=settings.redis_prefix)
    s3 = connect_s3(endpoint_url=settings.s3_endpoint_url, region=settings.s3_region)
    audio = S3AudioStore(
        s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix, part_bytes=settings.s3_part_bytes
    )
    public_s3 = connect_s3(
        endpoint_url=settings.s3_public_url or settings.s3_endpoint_url, region=settings.s3_region
    )
    cors_origins = [origin.strip() for origin in settings.s3_cors_origins.split(",") if origin.strip()]
    return Services(
        audio=audio,
        prepare=partial(audio.prepare, cors_origins=cors_origins),
        direct=S3DirectStore(
            s3,
            public_client=public_s3,
            bucket=settings.s3_bucket,
            prefix=settings.s3_prefix,
            part_bytes=settings.direct_part_bytes,
        ),
        jobs=RedisJobStore(
            client,
            prefix=settings.redis_prefix,
            followers=[WebhookOutbox(prefix=settings.redis_prefix)],
        ),
        deliveries=RedisDeliveryStore(client, prefix=settings.redis_prefix),
        endpoints=RedisEndpointStore(client, prefix=settings.redis_prefix),
        queue=CeleryJobQueue(celery, client, prefix=settings.redis_prefix),
        transitions=RedisTransitions(client, prefix=settings.redis_prefix),
        workers=RedisWorkerRegistry(client, prefix=settings.redis_prefix),
        keys=RedisKeyStore(client, prefix=settings.redis_prefix),
        parts=S3PartStore(s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix),
        resumables=RedisResumableStore(client, prefix=settings.redis_prefix),
        uploads=RedisUploadRegistry(client, prefix=settings.redis_prefix),
        claims=RedisClaimStore(client, prefix=settings.redis_prefix),
        celery=celery,
        outbound=Outbound(
            rules=OutboundRules(networks=settings.outbound_allowed_networks), proxy=settings.outbound_proxy
        ),
    )
