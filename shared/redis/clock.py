"""The clock of the Redis server, estimated between measurements from the monotonic clock of this process."""

import threading
import time

import redis
from redis.exceptions import RedisError

from shared.clock import MAX_CLOCK_SKEW_SECONDS
from shared.observability.logs import get_logger

_log = get_logger(__name__)

_MEASURE_SECONDS = 10.0
_RETRY_SECONDS = 1.0


class RedisClock:
    """Threads can share it. Steps of the local clock change nothing."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._lock = threading.Lock()
        self._offset: float | None = None
        """Redis time minus monotonic time."""
        self._measure_at = 0.0
        self._warned = False

    def now(self) -> float:
        """UNIX seconds by the server's clock; by the local clock until Redis has answered once."""
        if time.monotonic() >= self._measure_at and self._lock.acquire(blocking=self._offset is None):
            try:
                if time.monotonic() >= self._measure_at:
                    self._measure()
            finally:
                self._lock.release()
        return time.time() if self._offset is None else time.monotonic() + self._offset

    def _measure(self) -> None:
        before = time.monotonic()
        try:
            seconds, microseconds = self._client.time()
        except (RedisError, OSError):
            self._measure_at = time.monotonic() + _RETRY_SECONDS
            return  # the last measurement is still good
        after = time.monotonic()
        self._offset = seconds + microseconds / 1e6 - (before + after) / 2
        self._measure_at = after + _MEASURE_SECONDS
        skew = time.time() - after - self._offset
        if abs(skew) > MAX_CLOCK_SKEW_SECONDS and not self._warned:
            _log.warning("clock_skewed", seconds=round(skew, 1), action="Synchronize the clocks with NTP.")
        self._warned = abs(skew) > MAX_CLOCK_SKEW_SECONDS
