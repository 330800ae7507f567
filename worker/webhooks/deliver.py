"""Makes one attempt to deliver one webhook: what is sent, and what counts as a failure.

Only a 2xx response within the timeout is a success. Redirects are not followed.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.clock import store_time
from shared.domain.webhooks.delivery import RESPONSE_BYTES, RETRY_DELAYS_SECONDS, Attempt, Delivery
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import EventType, signature
from shared.errors import AddressRefused, Conflict, LeaseLost, NotFound, Unreachable
from shared.observability.logs import get_logger
from shared.outbound.address_rules import HttpResponse
from shared.outbound.retry_after import retry_after_seconds
from shared.ports.webhooks import DeliveryStore, EndpointStore, HttpSender

_log = get_logger(__name__)

_LEASE_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """Timeout and retry schedule of deliveries."""

    timeout_seconds: float
    retry_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    """Pauses between attempts."""
    allow_http: bool = False
    user_agent: str = "Kammerton-Webhooks/1"

    @property
    def lease_seconds(self) -> float:
        """How long a sender holds a delivery. After that it counts as dead, and the delivery is due again."""
        return self.timeout_seconds + _LEASE_MARGIN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryWorker:
    """Delivers webhooks. Safe to share between threads."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    outbound: HttpSender
    config: DeliveryConfig
    clock: Callable[[], float] = store_time
    jitter: Callable[[], float] = random.random

    def deliver(self, delivery_id: str) -> Delivery | None:
        """Make one attempt. None if the delivery is not due, is gone, or another sender has it.

        Raises:
            Unavailable: Redis is unavailable.
        """
        try:
            delivery = self.deliveries.change(
                delivery_id,
                lambda one: one.claim(now=self.clock(), lease_seconds=self.config.lease_seconds),
            )
            url, reason = self._receiver(delivery)
            if reason is not None:
                return self.deliveries.change(
                    delivery_id, lambda one: one.drop(delivery.claims, reason, now=self.clock())
                )
            return self._attempt(delivery, url)
        except (Conflict, LeaseLost, NotFound):
            return None  # another sender was faster, or the delivery was deleted

    def _attempt(self, delivery: Delivery, url: str) -> Delivery:
        started_at = self.clock()
        response, attempt = self._send(delivery, url, started_at)
        retry_after = (
            retry_after_seconds(response.status, response.headers, now=self.clock()) if response else 0.0
        )
        if delivery.endpoint_id is not None:
            self._update_endpoint(delivery.endpoint_id, attempt)
        jitter = self.jitter()
        after = self.deliveries.change(
            delivery.id,
            lambda one: one.record(
                delivery.claims,
                attempt,
                now=self.clock(),
                delays_seconds=self.config.retry_seconds,
                jitter=jitter,
                retry_after_seconds=retry_after,
            ),
        )
        _log.info(
            "webhook_attempted",
            delivery_id=delivery.id,
            job_id=delivery.job_id,
            status=attempt.status,
            error=attempt.error,
            tries=delivery.tries,
            state=after.state,
        )
        return after

    def _send(self, delivery: Delivery, url: str, started_at: float) -> tuple[HttpResponse | None, Attempt]:
        clock_start = time.perf_counter()
        response, error = None, None
        try:
            response = self.outbound.send(
                "POST",
                url,
                headers=self._headers(delivery, started_at),
                content=delivery.body.encode(),
                timeout_seconds=self.config.timeout_seconds,
                max_bytes=RESPONSE_BYTES,
                allow_http=self.config.allow_http,
            )
        except (AddressRefused, Unreachable) as failure:
            error = failure.message
        milliseconds = round(1000 * (time.perf_counter() - clock_start))
        if response is None:
            return None, Attempt(at=started_at, milliseconds=milliseconds, error=error)
        if not 200 <= response.status < 300:
            error = f"The receiver responded with {response.status}."
            if 300 <= response.status < 400:
                error = (
                    f"The receiver responded with {response.status}. Redirects are not followed: register "
                    "the final URL."
                )
        return response, Attempt(
            at=started_at,
            milliseconds=milliseconds,
            status=response.status,
            error=error,
            response=response.body.decode(errors="replace").replace("\x00", "\ufffd"),
            is_internal=response.is_internal,
        )

    def _headers(self, delivery: Delivery, now: float) -> dict[str, str]:
        if delivery.secret is not None:
            secrets: Sequence[str] = [delivery.secret]
        else:
            secrets = self.endpoints.secrets(delivery.owner or "").valid(now=now)
        return {
            "Content-Type": "application/json",
            "User-Agent": self.config.user_agent,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signature(delivery.id, delivery.body, timestamp=int(now), secrets=secrets),
        }

    def _receiver(self, delivery: Delivery) -> tuple[str, str | None]:
        """The URL that the endpoint has now, and the reason not to send to it, if there is one."""
        if delivery.endpoint_id is None:
            return delivery.url, None
        try:
            endpoint = self.endpoints.get(delivery.endpoint_id)
        except NotFound:
            return delivery.url, "The endpoint was deleted."
        disabled = endpoint.disabled_at is not None and delivery.type is not EventType.TEST
        return endpoint.url, "The endpoint is disabled." if disabled else None

    def _update_endpoint(self, endpoint_id: str, attempt: Attempt) -> None:
        def step(endpoint: Endpoint) -> Endpoint:
            if attempt.accepted:
                return endpoint.record_success()
            now = self.clock()
            return endpoint.record_gone(now=now) if attempt.is_gone else endpoint.record_failure(now=now)

        try:
            changed = self.endpoints.change(endpoint_id, step)
        except NotFound:
            return
        if changed.disabled_at is not None:
            _log.warning("endpoint_disabled", endpoint_id=endpoint_id, reason=changed.disabled_why)
