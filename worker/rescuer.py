"""`python -m worker.rescuer`: rounds of the rescuer until told to stop. Nobody imports it."""

import signal
import threading

from shared.errors import Unavailable
from shared.logs import configure_logs, get_logger
from shared.services import connect
from shared.settings import read_settings
from worker.rescue import Rescuer


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = read_settings()
    configure_logs(
        log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
    )
    log = get_logger("worker.rescuer")
    services = connect(settings, process="rescuer")
    rescuer = Rescuer(
        jobs=services.jobs,
        audio=services.audio,
        queue=services.queue,
        uploads=services.uploads,
        keep_audio=settings.keep_audio,
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.retry_seconds,
        orphan_seconds=settings.orphan_seconds,
        paused=services.controls.paused,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("rescuer_started")
    warned = False
    while not stop.is_set():
        try:
            if not warned:
                for sentence in services.broken_promises():
                    log.warning("redis_may_lose_jobs", why=sentence)
                warned = True
            rescuer.round()
        except Unavailable as error:
            log.warning("round_broken_off", why=error.message)
        services.books.write()
        stop.wait(settings.rescue_seconds)
    log.info("rescuer_stopped")


if __name__ == "__main__":
    main()
