"""`python -m worker background`: webhooks and maintenance in one process, for half the memory of two."""

from shared.services import bootstrap, connect
from worker.maintenance.main import rescuer_loop
from worker.process_loop import run_until_signal
from worker.webhooks.main import webhook_loop


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings, services = bootstrap("rescuer")
    # Metrics and traces of the two stay apart.
    webhook_services = connect(settings, process="notifier", s3_session=services.s3_session)
    run_until_signal(webhook_loop(settings, webhook_services), rescuer_loop(settings, services))
