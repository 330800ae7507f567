"""Settings in, connections out: the one place that picks adapters. Only main files import it."""

from collections.abc import Callable
from dataclasses import dataclass

from celery import Celery

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.ports import AudioStore, JobQueue, JobStore, KeyStore, Limiter, WorkerRegistry
from shared.redis_jobs import RedisJobStore, connect_redis
from shared.redis_keys import RedisKeyStore
from shared.redis_limits import RedisLimiter
from shared.redis_workers import RedisWorkerRegistry
from shared.s3_audio import S3AudioStore, connect_s3
from shared.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything from outside, behind its port."""

    audio: AudioStore
    jobs: JobStore
    queue: JobQueue
    workers: WorkerRegistry
    keys: KeyStore
    limiter: Limiter
    celery: Celery
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
    return Services(
        audio=audio,
        prepare=audio.prepare,
        jobs=RedisJobStore(client, prefix=settings.redis_prefix),
        queue=CeleryJobQueue(celery, client, prefix=settings.redis_prefix),
        workers=RedisWorkerRegistry(client, prefix=settings.redis_prefix),
        keys=RedisKeyStore(client, prefix=settings.redis_prefix),
        limiter=RedisLimiter(client, prefix=settings.redis_prefix),
        celery=celery,
    )
