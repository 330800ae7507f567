"""`python -m worker maintenance`: runs the rescuer and the orphan sweeper until it is stopped."""

import threading

from shared.installation_check import check_installation
from shared.observability.logs import get_logger
from shared.observability.metrics import MAINTENANCE_FAILURES, increment
from shared.services import Services, bootstrap
from shared.settings import Settings
from worker.maintenance.orphan_sweeper import OrphanSweeper, SweepLimits
from worker.maintenance.rescuer import Rescuer
from worker.process_loop import Loop, run_until_signal

_log = get_logger(__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    run_until_signal(rescuer_loop(*bootstrap("rescuer")))


def rescuer_loop(settings: Settings, services: Services) -> Loop:
    """The loop that runs the rescuer, with the orphan sweeper in a thread."""

    def count_failure(step: str) -> None:
        services.metrics_recorder.add(increment(MAINTENANCE_FAILURES, step))

    rescuer = Rescuer(
        jobs=services.jobs,
        audio=services.audio,
        queue=services.queue,
        keep_audio=settings.keep_audio,
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.job_retry_delay_seconds,
        paused_queues=services.worker_control.paused,
        count_failure=count_failure,
    )
    sweeper = OrphanSweeper(
        jobs=services.jobs,
        audio=services.audio,
        uploads=services.upload_registry,
        installation=services.installation,
        limits=SweepLimits(age_seconds=settings.orphan_seconds, max_share=settings.orphan_max_share),
        count_failure=count_failure,
    )
    durability_checked = False

    def iterate() -> None:
        nonlocal durability_checked
        if not durability_checked:
            for warning in services.check_durability():
                _log.warning("redis_not_durable", reason=warning)
            durability_checked = True
        rescuer.run_once()

    stop = threading.Event()
    threading.Thread(target=sweeper.run, args=[stop], name="orphan-sweeper", daemon=True).start()
    return Loop(
        name="rescuer",
        iterate=iterate,
        flush=services.metrics_recorder.flush,
        pause_seconds=settings.rescuer_interval_seconds,
        close=stop.set,
    )


def adopt_storage() -> None:
    """Make the bucket belong to this Redis database, after the old database was lost."""
    _, services = bootstrap("tool")
    services.audio.set_installation_id(services.installation.get_or_create().id)
    check_installation(services.installation, services.audio)
    _log.info("storage_adopted")
