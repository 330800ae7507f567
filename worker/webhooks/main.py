"""`python -m worker webhooks`: sends webhooks until it is stopped. Any number of these may run."""

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.errors import NotFound, Unavailable
from shared.observability.metrics import WEBHOOKS, increment
from shared.services import Services, bootstrap
from shared.settings import Settings
from worker.process_loop import Loop, run_until_signal
from worker.trace_spans import span_of_delivery
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker
from worker.webhooks.dispatcher import Dispatcher

_DRAIN_SECONDS = 3.0
_OUTCOMES = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "failed",
    DeliveryState.FAILED: "given_up",
}
"""Metric label by the state that an attempt leaves its delivery in. Pending means that it is tried again."""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    run_until_signal(webhook_loop(*bootstrap("notifier")))


def webhook_loop(settings: Settings, services: Services) -> Loop:
    """The loop that sends webhooks."""
    dispatcher = dispatcher_of(settings, services)

    def iterate() -> None:
        if not dispatcher.poll():
            dispatcher.wait()

    def flush() -> None:
        services.metrics_recorder.flush()
        services.traces.flush()

    return Loop(name="notifier", iterate=iterate, flush=flush, close=lambda: dispatcher.drain(_DRAIN_SECONDS))


def dispatcher_of(settings: Settings, services: Services) -> Dispatcher:
    """The dispatcher as the settings configure it, with metrics and traces of each attempt."""
    worker = DeliveryWorker(
        deliveries=services.deliveries,
        endpoints=services.endpoints,
        outbound=services.outbound,
        config=DeliveryConfig(
            timeout_seconds=settings.webhook_timeout_seconds,
            retry_seconds=settings.webhook_retry_delays_seconds,
            allow_http=settings.webhook_allow_http,
        ),
    )

    def deliver(delivery_id: str) -> None:
        delivery = worker.deliver(delivery_id)
        if delivery is not None:
            services.metrics_recorder.buffer.add(increment(WEBHOOKS, _OUTCOMES[delivery.state]))
            if services.traces.is_on:
                _trace(delivery, services)

    return Dispatcher(
        deliveries=services.deliveries,
        endpoints=services.endpoints,
        deliver=deliver,
        slots=settings.webhook_concurrency,
        slots_per_server=settings.webhook_server_concurrency,
    )


def _trace(delivery: Delivery, services: Services) -> None:
    try:
        job = services.jobs.get(delivery.job_id) if delivery.job_id else None
    except (NotFound, Unavailable):
        job = None
    span = span_of_delivery(delivery, traceparent=job.traceparent if job else None)
    if span is not None:
        services.traces.record(span)
