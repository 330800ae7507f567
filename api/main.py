"""`uvicorn api.main:app`: Settings → Services → create_app. Nobody imports it."""

from api.app import create_app
from api.jobs import JobTerms
from api.webhook_acts import WebhookActs
from shared.logs import configure_logs
from shared.services import connect
from shared.settings import read_settings

settings = read_settings()
configure_logs(
    log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
)
services = connect(settings)
app = create_app(
    jobs=services.jobs,
    audio=services.audio,
    queue=services.queue,
    workers=services.workers,
    keys=services.keys,
    anonymous=settings.anonymous,
    transitions=services.transitions,
    webhooks=WebhookActs(
        deliveries=services.deliveries,
        endpoints=services.endpoints,
        check_url=lambda url: str(services.outbound.check(url, allow_http=settings.webhook_allow_http)),
    ),
    prepare=services.prepare,
    keep_audio=settings.keep_audio,
    terms=JobTerms(
        max_upload_bytes=settings.max_upload_bytes,
        upload_idle_seconds=settings.upload_idle_seconds,
        attempts=settings.job_attempts,
        keep_seconds=settings.keep_seconds,
    ),
)
