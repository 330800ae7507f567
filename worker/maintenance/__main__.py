"""`python -m worker.maintenance`: rounds of the rescuer until told to stop. Nobody imports it."""

from shared.observability.logs import configure_logs, get_logger
from shared.services import connect
from shared.settings import read_settings
from worker.maintenance.rescuer import Rescuer
from worker.process_loop import run_rounds


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = read_settings()
    configure_logs(
        log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
    )
    log = get_logger("worker.maintenance")
    services = connect(settings, process="rescuer")
    rescuer = Rescuer(
        jobs=services.jobs,
        audio=services.audio,
        queue=services.queue,
        uploads=services.upload_registry,
        keep_audio=settings.keep_audio,
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.retry_seconds,
        orphan_seconds=settings.orphan_seconds,
        paused=services.worker_control.paused,
    )
    warned = False

    def round() -> None:
        nonlocal warned
        if not warned:
            for sentence in services.check_durability():
                log.warning("redis_may_lose_jobs", why=sentence)
            warned = True
        rescuer.round()

    run_rounds("rescuer", round, write=services.metrics_recorder.flush, pause_seconds=settings.rescue_seconds)
    services.metrics_recorder.flush()


if __name__ == "__main__":
    main()
