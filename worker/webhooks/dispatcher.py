"""Many deliveries at once, so that no receiver waits for another one's slowness.

Bounded in total and for each server; servers that were slow lately share a quarter of the places. What is
under way is also bounded by its lease: any number of senders may run, and any may be killed.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.domain.delivery import Delivery
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.webhooks import DeliveryStore, EndpointStore
from worker.webhooks.fan_out import fan_out_events

_log = get_logger(__name__)

_SLOW_AFTER_SECONDS = 3.0
_SLOW_FOR_SECONDS = 600.0
_LOOK_AGAIN_SECONDS = 0.2


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """Call `round` again and again, from one thread."""

    deliveries: DeliveryStore
    endpoints: EndpointStore
    notify: Callable[[str], Delivery | None]
    places: int
    per_server: int
    clock: Callable[[], float] = time.time
    _under_way: dict[str, str] = field(default_factory=dict)
    """Delivery id → server."""
    _slow_until: dict[str, float] = field(default_factory=dict)
    _freed: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def round(self) -> bool:
        """Spread what has happened, begin what is due. Whether there was anything. Raises Unavailable."""
        spread = fan_out_events(deliveries=self.deliveries, endpoints=self.endpoints, now=self.clock())
        return bool(self._begin() or spread)

    def wait(self) -> None:
        """Until a place became free since the last round began, or a moment has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._freed, _LOOK_AGAIN_SECONDS)

    def drain(self, seconds: float) -> None:
        """Wait for what is under way, not for ever: a lease that is left behind runs out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, seconds)

    def _begin(self) -> int:
        now = self.clock()
        with self._changed:
            self._freed = False
            self._slow_until = {server: until for server, until in self._slow_until.items() if until > now}
            busy = self._busy()
            free = self.places - len(self._under_way)
        if free <= 0:
            return 0
        begun = 0
        for delivery in self.deliveries.due(
            now=now, max_per_server=self.per_server, excluded_servers=busy, limit=free
        ):
            with self._changed:
                if delivery.id in self._under_way or delivery.server in self._busy():
                    continue
                self._under_way[delivery.id] = delivery.server
            try:
                threading.Thread(target=self._deliver, args=[delivery], name="deliver", daemon=True).start()
            except RuntimeError as error:  # no more threads: what is under way will end
                _log.warning("webhook_not_begun", delivery_id=delivery.id, why=str(error))
                with self._changed:
                    del self._under_way[delivery.id]
                return begun
            begun += 1
        return begun

    def _busy(self) -> set[str]:
        """Servers that get nothing more for now."""
        counts = Counter(self._under_way.values())
        busy = {server for server, count in counts.items() if count >= self.per_server}
        slow = sum(count for server, count in counts.items() if server in self._slow_until)
        return busy | set(self._slow_until) if slow >= max(1, self.places // 4) else busy

    def _deliver(self, delivery: Delivery) -> None:
        began = time.monotonic()
        try:
            self.notify(delivery.id)
        except Unavailable as error:
            _log.warning("webhook_not_recorded", delivery_id=delivery.id, why=error.message)
        except Exception:
            _log.exception("webhook_not_attempted", delivery_id=delivery.id)
        finally:
            with self._changed:
                del self._under_way[delivery.id]
                if time.monotonic() - began > _SLOW_AFTER_SECONDS:
                    self._slow_until[delivery.server] = self.clock() + _SLOW_FOR_SECONDS
                else:
                    self._slow_until.pop(delivery.server, None)
                self._freed = True
                self._changed.notify_all()
