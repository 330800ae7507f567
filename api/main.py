"""`python -m api serve` runs this: Settings → Services → create_app. Nobody imports it."""

import ctypes

from api.admin.sessions import Sessions
from api.app import create_app
from api.config import Addresses, ApiConfig, JobLimits, Limits, Web
from api.http.background import Upkeep
from shared.celery_queue import QUEUES
from shared.services import bootstrap

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 64 * 1024


def return_what_is_free() -> None:
    """Give each buffer of an upload a mapping of its own, and all threads one heap. Call before any thread.

    By itself glibc learns from the largest block ever freed, a whole part, to keep such blocks in its heap.
    There 64 uploads that grow side by side leave holes: 50 MiB of them were seen, and never given back. On
    Linux a mapping also grows in place, where a heap copies. Elsewhere than on glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)


return_what_is_free()
settings, services = bootstrap("api")
app = create_app(
    services,
    rules=ApiConfig(
        terms=JobLimits(
            max_upload_bytes=settings.max_upload_bytes,
            upload_idle_seconds=settings.upload_idle_timeout_seconds,
            upload_least_bytes_per_second=settings.upload_min_bytes_per_second,
            upload_wait_seconds=settings.upload_wait_seconds,
            upload_buffer_bytes=settings.upload_buffer_bytes,
            upload_parts_in_flight=settings.upload_parts_in_flight,
            direct_upload_seconds=settings.direct_upload_seconds,
            attempts=settings.job_attempts,
            keep_seconds=settings.job_retention_seconds,
            window_seconds=settings.window_seconds,
            source_counts_as_bytes=settings.source_spool_bytes,
        ),
        limits=Limits(
            requests_per_minute=settings.requests_per_minute if settings.rate_limits_enabled else None,
            bytes_per_day=settings.bytes_per_day if settings.rate_limits_enabled else None,
            uploads_at_once=settings.max_concurrent_uploads if settings.rate_limits_enabled else None,
            jobs_queued=settings.max_queued_jobs_per_caller if settings.rate_limits_enabled else None,
            queue_most=settings.max_queued_jobs,
            queues=QUEUES,
        ),
        web=Web(
            hosts=settings.allowed_hosts,
            cors_origins=settings.cors_origins,
            proxies=settings.trusted_proxies,
            storage_url=settings.s3_public_url or settings.s3_endpoint_url,
        ),
        anonymous=settings.allow_anonymous,
        metrics_public=settings.metrics_public,
        keep_audio=settings.keep_audio,
        reuse_reports=settings.reuse_reports,
    ),
    addresses=Addresses(
        of_callbacks=lambda url: str(services.outbound.check(url, allow_http=settings.webhook_allow_http)),
        of_sources=lambda url: str(services.outbound.check(url, allow_http=settings.source_allow_http)),
    ),
    sessions=Sessions(
        services.secrets,
        operator_password=settings.admin_password.get_secret_value() if settings.admin_password else None,
        viewer_password=settings.viewer_password.get_secret_value() if settings.viewer_password else None,
    ),
    upkeep=Upkeep(books=services.metrics_recorder, traces=services.traces, prepare=services.prepare),
)
