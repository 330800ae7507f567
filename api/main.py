"""`uvicorn api.main:app`: Settings → Services → create_app. Nobody imports it."""

from api.app import create_app
from api.board import Board
from api.jobs import JobTerms
from api.sessions import Sessions
from shared.celery_queue import QUEUES
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
    prepare=services.prepare,
    board=Board(
        jobs=services.jobs,
        audio=services.audio,
        workers=services.workers,
        overview=services.overview,
        history=services.history,
        controls=services.controls,
        audit=services.audit,
        deliveries=services.deliveries,
        queues=QUEUES,
    ),
    sessions=Sessions(
        services.vault,
        operator_password=settings.admin_password.get_secret_value() if settings.admin_password else None,
        viewer_password=settings.viewer_password.get_secret_value() if settings.viewer_password else None,
    ),
    keep_audio=settings.keep_audio,
    terms=JobTerms(
        max_upload_bytes=settings.max_upload_bytes,
        upload_idle_seconds=settings.upload_idle_seconds,
        attempts=settings.job_attempts,
        keep_seconds=settings.keep_seconds,
    ),
)
