"""`uvicorn api.main:app`: Settings → Services → create_app. Nobody imports it."""

from api.app import create_app
from api.terms import JobTerms
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
    uploads=services.uploads,
    claims=services.claims,
    direct=services.direct,
    parts=services.parts,
    resumables=services.resumables,
    prepare=services.prepare,
    keep_audio=settings.keep_audio,
    terms=JobTerms(
        max_upload_bytes=settings.max_upload_bytes,
        upload_idle_seconds=settings.upload_idle_seconds,
        upload_least_bytes_per_second=settings.upload_least_bytes_per_second,
        upload_wait_seconds=settings.upload_wait_seconds,
        upload_buffer_bytes=settings.upload_buffer_bytes,
        upload_parts_in_flight=settings.upload_parts_in_flight,
        direct_upload_seconds=settings.direct_upload_seconds,
        attempts=settings.job_attempts,
        keep_seconds=settings.keep_seconds,
    ),
)
