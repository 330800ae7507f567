"""Delivers many webhooks at once, so that no receiver waits for a slow one.

Concurrency is limited in total and for each server. Servers that were slow recently share a quarter of the
slots. A lease covers each delivery in progress: any number of dispatchers may run, and any may be killed.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.clock import store_time
from shared.domain.webhooks.delivery import Delivery
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.webhooks import DeliveryStore, EndpointStore
from worker.webhooks.fan_out import fan_out_events

_log = get_logger(__name__)

_SLOW_AFTER_SECONDS = 3.0
_SLOW_FOR_SECONDS = 600.0
_POLL_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Call `poll` repeatedly, from one thread."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    deliver: Callable[[str], object]
    """Makes one attempt at the delivery with this id."""
    slots: int
    slots_per_server: int
    clock: Callable[[], float] = store_time
    _in_progress: dict[str, str] = field(default_factory=dict)
    """Delivery id → server."""
    _slow_until: dict[str, float] = field(default_factory=dict)
    _slot_freed: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def poll(self) -> bool:
        """Fan out new events and start due deliveries. False if there was nothing to do.

        Raises:
            Unavailable: Redis is unavailable.
        """
        fanned_out = fan_out_events(deliveries=self.deliveries, endpoints=self.endpoints, now=self.clock())
        return bool(self._start_due() or fanned_out)

    def wait(self) -> None:
        """Wait until a slot has been freed since the last poll, or until it is time to poll again."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot_freed, _POLL_SECONDS)

    def drain(self, timeout_seconds: float) -> None:
        """Wait for deliveries in progress, up to a limit. A lease that is left behind expires."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_progress, timeout_seconds)

    def _start_due(self) -> int:
        now = self.clock()
        with self._changed:
            self._slot_freed = False
            self._slow_until = {server: until for server, until in self._slow_until.items() if until > now}
            busy = self._busy_servers()
            free = self.slots - len(self._in_progress)
        if free <= 0:
            return 0
        started = 0
        for delivery in self.deliveries.due(
            now=now, max_per_server=self.slots_per_server, excluded_servers=busy, limit=free
        ):
            with self._changed:
                if delivery.id in self._in_progress or delivery.server in self._busy_servers():
                    continue
                self._in_progress[delivery.id] = delivery.server
            try:
                threading.Thread(target=self._run, args=[delivery], name="deliver", daemon=True).start()
            except RuntimeError as error:  # out of threads: deliveries in progress will end and free some
                _log.warning("webhook_start_failed", delivery_id=delivery.id, reason=str(error))
                with self._changed:
                    del self._in_progress[delivery.id]
                return started
            started += 1
        return started

    def _busy_servers(self) -> set[str]:
        """Servers that get no further deliveries for now."""
        counts = Counter(self._in_progress.values())
        busy = {server for server, count in counts.items() if count >= self.slots_per_server}
        slow = sum(count for server, count in counts.items() if server in self._slow_until)
        return busy | set(self._slow_until) if slow >= max(1, self.slots // 4) else busy

    def _run(self, delivery: Delivery) -> None:
        started = time.monotonic()
        try:
            self.deliver(delivery.id)
        except Unavailable as error:
            _log.warning("webhook_record_failed", delivery_id=delivery.id, reason=error.message)
        except Exception:
            _log.exception("webhook_attempt_failed", delivery_id=delivery.id)
        finally:
            with self._changed:
                del self._in_progress[delivery.id]
                if time.monotonic() - started > _SLOW_AFTER_SECONDS:
                    self._slow_until[delivery.server] = self.clock() + _SLOW_FOR_SECONDS
                else:
                    self._slow_until.pop(delivery.server, None)
                self._slot_freed = True
                self._changed.notify_all()
