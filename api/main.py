"""The ASGI app that `python -m api serve` runs: Settings → Services → create_app. An entry point."""

from api.admin.auth.sessions import Sessions
from api.app import create_app
from api.config import Addresses, ApiConfig, JobLimits, Limits, Web
from api.http.background import BackgroundTasks
from shared.celery_queue import QUEUES
from shared.services import bootstrap

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
    background=BackgroundTasks(
        metrics_recorder=services.metrics_recorder, traces=services.traces, prepare_storage=services.prepare
    ),
)
