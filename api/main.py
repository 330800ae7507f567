"""The ASGI app that `python -m api serve` runs: Settings → Services → create_app. An entry point."""

from api.admin.auth.sessions import Sessions
from api.app import create_app
from api.config import ApiConfig, HttpConfig, JobLimits, RateLimits, UrlChecks
from api.http.background import BackgroundTasks
from shared.celery_queue import QUEUES
from shared.outbound.client import OutboundClient
from shared.services import bootstrap
from shared.settings import Settings


def read_config(settings: Settings) -> ApiConfig:
    """The part of the settings that the API needs."""
    return ApiConfig(
        job_limits=_job_limits(settings),
        rate_limits=_rate_limits(settings),
        http=HttpConfig(
            allowed_hosts=settings.allowed_hosts,
            cors_origins=settings.cors_origins,
            trusted_proxies=settings.trusted_proxies,
            storage_url=settings.s3_public_url or settings.s3_endpoint_url,
            max_concurrent_requests=settings.max_concurrent_requests,
        ),
        allow_anonymous=settings.allow_anonymous,
        metrics_public=settings.metrics_public,
        keep_audio=settings.keep_audio,
        reuse_reports=settings.reuse_reports,
        max_latency_seconds={
            "interactive": settings.interactive_latency_warning_seconds,
            "batch": settings.batch_latency_warning_seconds,
        },
    )


def _job_limits(settings: Settings) -> JobLimits:
    return JobLimits(
        max_upload_bytes=settings.max_upload_bytes,
        upload_idle_timeout_seconds=settings.upload_idle_timeout_seconds,
        upload_min_bytes_per_second=settings.upload_min_bytes_per_second,
        upload_wait_seconds=settings.upload_wait_seconds,
        upload_buffer_bytes=settings.upload_buffer_bytes,
        upload_parts_in_flight=settings.upload_parts_in_flight,
        direct_upload_seconds=settings.direct_upload_seconds,
        attempts=settings.job_attempts,
        keep_seconds=settings.job_retention_seconds,
        window_seconds=settings.window_seconds,
        source_counts_as_bytes=settings.source_spool_bytes,
    )


def _rate_limits(settings: Settings) -> RateLimits:
    if not settings.rate_limits_enabled:
        return RateLimits(
            max_queued_jobs=settings.max_queued_jobs,
            max_memory_share=settings.redis_max_memory_share,
            queues=QUEUES,
        )
    return RateLimits(
        requests_per_minute=settings.requests_per_minute,
        bytes_per_day=settings.bytes_per_day,
        max_concurrent_uploads=settings.max_concurrent_uploads,
        max_queued_jobs_per_caller=settings.max_queued_jobs_per_caller,
        max_queued_jobs=settings.max_queued_jobs,
        max_memory_share=settings.redis_max_memory_share,
        queues=QUEUES,
    )


def _url_checks(settings: Settings, outbound: OutboundClient) -> UrlChecks:
    return UrlChecks(
        check_callback_url=lambda url: str(outbound.check(url, allow_http=settings.webhook_allow_http)),
        check_source_url=lambda url: str(outbound.check(url, allow_http=settings.source_allow_http)),
    )


settings, services = bootstrap("api")
app = create_app(
    services,
    config=read_config(settings),
    url_checks=_url_checks(settings, services.outbound),
    sessions=Sessions(
        services.secrets,
        operator_password=settings.admin_password.get_secret_value() if settings.admin_password else None,
        operators={name: password.get_secret_value() for name, password in settings.operators},
        viewer_password=settings.viewer_password.get_secret_value() if settings.viewer_password else None,
    ),
    background=BackgroundTasks(
        metrics_recorder=services.metrics_recorder,
        traces=services.traces,
        prepare_storage=services.prepare,
    ),
)
