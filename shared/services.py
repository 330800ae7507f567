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
from shared.ports import (
    AudioStore,
    CountStore,
    JobQueue,
    JobStore,
    KeyStore,
    Limiter,
    Transitions,
    WorkerRegistry,
)
from shared.redis_client import connect_redis
from shared.redis_counts import RedisCountStore
from shared.redis_deliveries import RedisDeliveryStore
from shared.redis_endpoints import RedisEndpointStore
from shared.redis_jobs import RedisJobStore
from shared.redis_keys import RedisKeyStore
from shared.redis_limits import RedisLimiter
from shared.redis_transitions import RedisTransitions
from shared.redis_workers import RedisWorkerRegistry
from shared.s3_audio import S3AudioStore, connect_s3
from shared.settings import Settings
from shared.traces import Traces, open_traces
from shared.webhook_outbox import WebhookOutbox
from shared.webhook_ports import DeliveryStore, EndpointStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything from outside, behind its port."""

    audio: AudioStore
    jobs: JobStore
    queue: JobQueue
    workers: WorkerRegistry
    keys: KeyStore
    limiter: Limiter
    counts: CountStore
    books: Bookkeeper
    """What this process counts by itself; somebody must call `write`."""
    transitions: Transitions
    deliveries: DeliveryStore
    endpoints: EndpointStore
    traces: Traces
    celery: Celery
    outbound: Outbound
    """For addresses that clients give us: callbacks and sources."""
    prepare: Callable[[], None]
    """Make what the adapters need and nobody else makes: the bucket. Raises Unavailable."""


def connect(settings: Settings, *, process: str = "tool") -> Services:
    """Pick the adapters. Nothing is contacted yet. `process`: under which kind its errors are counted."""
    tally = Tally()

    def failed(dependency: str) -> None:
        tally.add(counted(ERRORS, process, dependency))

    client = connect_redis(settings.redis_url, on_error=partial(failed, "redis"))
    celery = connect_celery(settings.redis_url, prefix=settings.redis_prefix)
    s3 = connect_s3(
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        on_error=partial(failed, "s3"),
        on_read=lambda size: tally.add(counted(READ, amount=size)),
    )
    counts = RedisCountStore(client, prefix=settings.redis_prefix)
    audio = S3AudioStore(
        s3, bucket=settings.s3_bucket, prefix=settings.s3_prefix, part_bytes=settings.s3_part_bytes
    )
    return Services(
        audio=audio,
        prepare=audio.prepare,
        jobs=RedisJobStore(
            client,
            prefix=settings.redis_prefix,
            followers=[WebhookOutbox(prefix=settings.redis_prefix), JobCounts(prefix=settings.redis_prefix)],
        ),
        deliveries=RedisDeliveryStore(client, prefix=settings.redis_prefix),
        endpoints=RedisEndpointStore(client, prefix=settings.redis_prefix),
        queue=CeleryJobQueue(celery, client, prefix=settings.redis_prefix),
        transitions=RedisTransitions(client, prefix=settings.redis_prefix),
        workers=RedisWorkerRegistry(client, prefix=settings.redis_prefix),
        keys=RedisKeyStore(client, prefix=settings.redis_prefix),
        limiter=RedisLimiter(client, prefix=settings.redis_prefix),
        counts=counts,
        books=Bookkeeper(counts, tally=tally, process=process),
        traces=open_traces(settings.traces_url, process=process),
        celery=celery,
        outbound=Outbound(
            rules=OutboundRules(networks=settings.outbound_allowed_networks), proxy=settings.outbound_proxy
        ),
    )
