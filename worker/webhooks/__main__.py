"""`python -m worker.webhooks`: sends webhooks until told to stop. Any number may run. Nobody imports it."""

from shared.domain.delivery import Delivery, DeliveryState
from shared.errors import NotFound, Unavailable
from shared.observability.logs import configure_logs
from shared.observability.metrics import WEBHOOKS, increment
from shared.services import connect
from shared.settings import read_settings
from worker.process_loop import run_rounds
from worker.trace_spans import span_of_delivery
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker
from worker.webhooks.dispatcher import Dispatcher

_DRAIN_SECONDS = 3.0
_OUTCOMES = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "failed",
    DeliveryState.FAILED: "given_up",
}
"""How an attempt went, by where it left its delivery: pending is another try to come."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = read_settings()
    configure_logs(
        log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
    )
    services = connect(settings, process="notifier")
    notifier = DeliveryWorker(
        deliveries=services.deliveries,
        endpoints=services.endpoints,
        outbound=services.outbound,
        terms=DeliveryConfig(
            timeout_seconds=settings.webhook_timeout_seconds,
            pauses=settings.webhook_retry_seconds,
            allow_http=settings.webhook_allow_http,
        ),
    )

    def trace(delivery: Delivery) -> None:
        try:
            job = services.jobs.get(delivery.job_id) if delivery.job_id else None
        except (NotFound, Unavailable):
            job = None
        span = span_of_delivery(delivery, traceparent=job.traceparent if job else None)
        if span is not None:
            services.traces.record(span)

    def attempt(delivery_id: str) -> Delivery | None:
        delivery = notifier.notify(delivery_id)
        if delivery is not None:
            services.metrics_recorder.tally.add(increment(WEBHOOKS, _OUTCOMES[delivery.state]))
            if services.traces.is_on:
                trace(delivery)
        return delivery

    sender = Dispatcher(
        deliveries=services.deliveries,
        endpoints=services.endpoints,
        notify=attempt,
        places=settings.webhook_concurrency,
        per_server=settings.webhook_server_concurrency,
    )

    def round() -> None:
        if not sender.round():
            sender.wait()

    def write() -> None:
        services.metrics_recorder.flush()
        services.traces.flush()

    run_rounds("notifier", round, write=write)
    sender.drain(_DRAIN_SECONDS)
    write()


if __name__ == "__main__":
    main()
