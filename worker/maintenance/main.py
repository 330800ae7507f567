"""`python -m worker maintenance`: runs the rescuer every few seconds until it is stopped."""

from shared.observability.logs import get_logger
from shared.observability.metrics import MAINTENANCE_FAILURES, increment
from shared.services import Services, bootstrap
from shared.settings import Settings
from worker.maintenance.rescuer import Rescuer
from worker.process_loop import Loop, run_until_signal

_log = get_logger(__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    run_until_signal(rescuer_loop(*bootstrap("rescuer")))


def rescuer_loop(settings: Settings, services: Services) -> Loop:
    """The loop that runs the rescuer."""
    rescuer = Rescuer(
        jobs=services.jobs,
        audio=services.audio,
        queue=services.queue,
        uploads=services.upload_registry,
        keep_audio=settings.keep_audio,
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.job_retry_delay_seconds,
        orphan_seconds=settings.orphan_seconds,
        paused_queues=services.worker_control.paused,
        count_failure=lambda step: services.metrics_recorder.buffer.add(
            increment(MAINTENANCE_FAILURES, step)
        ),
    )
    durability_checked = False

    def iterate() -> None:
        nonlocal durability_checked
        if not durability_checked:
            for warning in services.check_durability():
                _log.warning("redis_not_durable", reason=warning)
            durability_checked = True
        rescuer.run_once()

    return Loop(
        name="rescuer",
        iterate=iterate,
        flush=services.metrics_recorder.flush,
        pause_seconds=settings.rescuer_interval_seconds,
    )
