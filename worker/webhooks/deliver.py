"""Deliver one webhook once: what is sent, and what counts as failure. Knows no loop and no clock of its own.

Not a redirect, not a slow yes, nothing but 2xx within the time allowed is a success.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.domain.delivery import RESPONSE_BYTES, RETRY_DELAYS_SECONDS, Attempt, Delivery
from shared.domain.endpoint import Endpoint
from shared.domain.webhook import EventType, signature
from shared.errors import AddressRefused, Conflict, LeaseLost, NotFound, Unreachable
from shared.observability.logs import get_logger
from shared.outbound.address_rules import HttpResponse
from shared.outbound.retry_after import retry_after_seconds
from shared.ports.webhooks import DeliveryStore, EndpointStore, HttpSender

_log = get_logger(__name__)

_LEASE_SPARE_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """How patient we are."""

    timeout_seconds: float
    pauses: Sequence[float] = RETRY_DELAYS_SECONDS
    allow_http: bool = False
    user_agent: str = "Kammerton-Webhooks/1"

    @property
    def lease_seconds(self) -> float:
        """After so long without a word a sender is dead, and its delivery due again."""
        return self.timeout_seconds + _LEASE_SPARE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryWorker:
    """Delivers. Safe to share between threads."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    outbound: HttpSender
    terms: DeliveryConfig
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random

    def notify(self, delivery_id: str) -> Delivery | None:
        """Make one attempt. None: there was none to make. Raises Unavailable."""
        try:
            delivery = self.deliveries.change(
                delivery_id,
                lambda one: one.claim(now=self.clock(), lease_seconds=self.terms.lease_seconds),
            )
            url, hindrance = self._receiver(delivery)
            if hindrance is not None:
                return self.deliveries.change(
                    delivery_id, lambda one: one.drop(delivery.claims, hindrance, now=self.clock())
                )
            return self._attempt(delivery, url)
        except (Conflict, LeaseLost, NotFound):
            return None  # another sender was faster, or nobody wants it any more

    def _attempt(self, delivery: Delivery, url: str) -> Delivery:
        began = self.clock()
        answer, attempt = self._send(delivery, url, began)
        retry_after = retry_after_seconds(answer.status, answer.headers, now=self.clock()) if answer else 0.0
        if delivery.endpoint_id is not None:
            self._update_endpoint(delivery.endpoint_id, attempt)
        chance = self.chance()
        after = self.deliveries.change(
            delivery.id,
            lambda one: one.record(
                delivery.claims,
                attempt,
                now=self.clock(),
                delays_seconds=self.terms.pauses,
                jitter=chance,
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

    def _send(self, delivery: Delivery, url: str, began: float) -> tuple[HttpResponse | None, Attempt]:
        ticking = time.perf_counter()
        answer, error = None, None
        try:
            answer = self.outbound.send(
                "POST",
                url,
                headers=self._headers(delivery, began),
                content=delivery.body.encode(),
                timeout_seconds=self.terms.timeout_seconds,
                max_bytes=RESPONSE_BYTES,
                allow_http=self.terms.allow_http,
            )
        except (AddressRefused, Unreachable) as failure:
            error = failure.message
        milliseconds = round(1000 * (time.perf_counter() - ticking))
        if answer is None:
            return None, Attempt(at=began, milliseconds=milliseconds, error=error)
        if not 200 <= answer.status < 300:
            error = f"It answered {answer.status}."
            if 300 <= answer.status < 400:
                error = (
                    f"It answered {answer.status}; redirects are not followed, so register where they lead."
                )
        return answer, Attempt(
            at=began,
            milliseconds=milliseconds,
            status=answer.status,
            error=error,
            response=answer.body.decode(errors="replace").replace("\x00", "\ufffd"),
            is_internal=answer.is_internal,
        )

    def _headers(self, delivery: Delivery, now: float) -> dict[str, str]:
        if delivery.secret is not None:
            secrets: Sequence[str] = [delivery.secret]
        else:
            secrets = self.endpoints.secrets(delivery.owner or "").valid(now=now)
        return {
            "Content-Type": "application/json",
            "User-Agent": self.terms.user_agent,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signature(delivery.id, delivery.body, timestamp=int(now), secrets=secrets),
        }

    def _receiver(self, delivery: Delivery) -> tuple[str, str | None]:
        """Where to send to, as the endpoint is now, and why not."""
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
            _log.warning("endpoint_disabled", endpoint_id=endpoint_id, why=changed.disabled_why)
