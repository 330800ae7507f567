"""`python -m api.server` runs this: Settings → Services → create_app. Nobody imports it."""

import ctypes

from api.admin.auth.sessions import Sessions
from api.app import create_app
from api.config import Addresses, ApiConfig, JobLimits, Limits, Web
from api.http.background import Upkeep
from shared.celery_queue import QUEUES
from shared.observability.logs import configure_logs
from shared.services import connect
from shared.settings import listed, read_settings

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
settings = read_settings()
configure_logs(
    log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
)
services = connect(settings, process="api")
app = create_app(
    services,
    rules=ApiConfig(
        terms=JobLimits(
            max_upload_bytes=settings.max_upload_bytes,
            upload_idle_seconds=settings.upload_idle_seconds,
            upload_least_bytes_per_second=settings.upload_least_bytes_per_second,
            upload_wait_seconds=settings.upload_wait_seconds,
            upload_buffer_bytes=settings.upload_buffer_bytes,
            upload_parts_in_flight=settings.upload_parts_in_flight,
            direct_upload_seconds=settings.direct_upload_seconds,
            attempts=settings.job_attempts,
            keep_seconds=settings.keep_seconds,
            window_seconds=settings.window_seconds,
            source_counts_as_bytes=settings.source_spool_bytes,
        ),
        limits=Limits(
            requests_per_minute=settings.requests_per_minute if settings.limits else None,
            bytes_per_day=settings.bytes_per_day if settings.limits else None,
            uploads_at_once=settings.uploads_at_once if settings.limits else None,
            jobs_queued=settings.jobs_queued if settings.limits else None,
            queue_most=settings.queue_most,
            queues=QUEUES,
        ),
        web=Web(
            hosts=listed(settings.hosts),
            cors_origins=listed(settings.cors_origins),
            proxies=listed(settings.proxies),
            storage_url=settings.s3_public_url or settings.s3_endpoint_url,
        ),
        anonymous=settings.anonymous,
        metrics_public=settings.metrics_public,
        keep_audio=settings.keep_audio,
        reuse_reports=settings.reuse_reports,
    ),
    addresses=Addresses(
        of_callbacks=lambda url: str(services.outbound.check(url, allow_http=settings.webhook_allow_http)),
        of_sources=lambda url: str(services.outbound.check(url, allow_http=settings.source_allow_http)),
    ),
    sessions=Sessions(
        services.vault,
        operator_password=settings.admin_password.get_secret_value() if settings.admin_password else None,
        viewer_password=settings.viewer_password.get_secret_value() if settings.viewer_password else None,
    ),
    upkeep=Upkeep(books=services.books, traces=services.traces, prepare=services.prepare),
)
