"""One reader per process of all job changes, which wakes every request that waits for one of them.

However many clients wait, Redis gets one query. A subscriber reads the job's record itself once it wakes.
"""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
from anyio import to_thread

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.jobs import JobUpdateLog

_log = get_logger(__name__)

_READ_SECONDS = 1.0
"""How long one read waits for an update. Shutdown may take as long."""
_RETRY_SECONDS = 1.0


class Subscription:
    """Wakes one waiting request. For the event loop's thread only."""

    def __init__(self, *, closing: bool = False) -> None:
        self._event = asyncio.Event()
        self._changed: set[str] = set()
        self._any_changed = False
        self.closing = closing
        """Whether this process is about to stop."""

    def notify(self, job_id: str | None = None) -> None:
        """Wake the subscriber because this job changed. None: any job may have changed."""
        if job_id is None:
            self._any_changed = True
        else:
            self._changed.add(job_id)
        self._event.set()

    def clear(self) -> None:
        """Forget earlier updates. Call this before reading the job, so that no update is lost in between."""
        self._event.clear()
        self._changed.clear()
        self._any_changed = False

    def take_changed(self) -> frozenset[str] | None:
        """Clear, and return the jobs that changed. None: any job may have changed."""
        changed = None if self._any_changed else frozenset(self._changed)
        self.clear()
        return changed

    async def wait(self, seconds: float) -> bool:
        """Wait for an update. Returns False if none arrives in time."""
        if self.closing:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class JobUpdates:
    """All subscriptions of this process, by job."""

    def __init__(self, log: JobUpdateLog) -> None:
        self._updates = log
        self._subscriptions: dict[str | None, set[Subscription]] = {}
        self._watched_jobs = 0
        self._watched_by: Counter[str] = Counter()
        self._closing = False

    @property
    def watched_jobs(self) -> int:
        """How many jobs all open subscriptions watch together."""
        return self._watched_jobs

    def watched_by(self, subscriber: str) -> int:
        """How many jobs the subscriptions of one API key or address watch together."""
        return self._watched_by[subscriber]

    @contextmanager
    def subscribe(self, *job_ids: str, subscriber: str = "") -> Iterator[Subscription]:
        """Subscribe to changes of these jobs, or of every job if none is given."""
        keys: tuple[str | None, ...] = job_ids or (None,)
        subscription = Subscription(closing=self._closing)
        for key in keys:
            self._subscriptions.setdefault(key, set()).add(subscription)
        self._watched_jobs += len(keys)
        self._watched_by[subscriber] += len(keys)
        try:
            yield subscription
        finally:
            self._watched_jobs -= len(keys)
            self._watched_by[subscriber] -= len(keys)
            if not self._watched_by[subscriber]:
                del self._watched_by[subscriber]
            for key in keys:
                self._unsubscribe(key, subscription)

    async def run(self) -> None:
        """Read updates until canceled. Survives outages of the job store."""
        cursor: str | None = None
        one_thread = anyio.CapacityLimiter(1)
        while True:
            try:
                if cursor is None:
                    cursor = await to_thread.run_sync(self._updates.latest_cursor, limiter=one_thread)
                    self._notify_all()
                updates = await to_thread.run_sync(
                    lambda after: self._updates.read_after(after, wait_seconds=_READ_SECONDS),
                    cursor,
                    limiter=one_thread,
                    abandon_on_cancel=True,
                )
            except Unavailable as error:
                _log.warning("job_updates_read_failed", reason=error.message, cause=error.cause)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if updates:
                cursor = updates[-1].cursor
                for key in {update.job_id for update in updates} | {None}:
                    for subscription in self._subscriptions.get(key, ()):
                        subscription.notify(key)

    def close(self) -> None:
        """Wake every subscriber and tell it that this process is about to stop."""
        self._closing = True
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.closing = True
        self._notify_all()

    def _unsubscribe(self, key: str | None, subscription: Subscription) -> None:
        subscriptions = self._subscriptions.get(key, set())
        subscriptions.discard(subscription)
        if not subscriptions:
            self._subscriptions.pop(key, None)

    def _notify_all(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.notify()


@contextmanager
def close_on_signals(updates: JobUpdates) -> Iterator[None]:
    """Close *updates* at SIGINT and SIGTERM: open streams would hold up the server's orderly shutdown."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(updates.close)
        original = handlers[signal.Signals(number)]
        if callable(original):
            original(number, frame)

    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
