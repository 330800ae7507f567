"""One reader of all jobs' changes for this process, which wakes whoever waits for one of them.

However many clients wait, Redis sees one question. Whoever is woken looks at the record itself.
"""

import asyncio
import signal
import threading
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
"""One read waits so long for news; also how long stopping may take."""
_PAUSE_SECONDS = 1.0
_ANY = ""


class Subscription:
    """Somebody who waits. On the event loop only."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.ending = False
        """Whether this process is about to stop."""

    def wake(self) -> None:
        """There may be news."""
        self._event.set()

    def expect(self) -> None:
        """From now on, news count. Call before looking at the record, so that none falls in between."""
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """Sleep until there may be news; False after so many seconds without."""
        if self.ending:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class JobUpdates:
    """Who waits for what in this process."""

    def __init__(self, transitions: JobUpdateLog) -> None:
        self._transitions = transitions
        self._listeners: dict[str, set[Subscription]] = {}
        self._count = 0
        self._ending = False

    @property
    def count(self) -> int:
        """How many listen now."""
        return self._count

    @contextmanager
    def listen(self, job_id: str | None = None) -> Iterator[Subscription]:
        """Be woken when a job changes, or any job."""
        key = job_id or _ANY
        listener = Subscription()
        listener.ending = self._ending
        self._listeners.setdefault(key, set()).add(listener)
        self._count += 1
        try:
            yield listener
        finally:
            self._count -= 1
            others = self._listeners[key]
            others.discard(listener)
            if not others:
                del self._listeners[key]

    async def run(self) -> None:
        """Read until canceled, through every outage of the store."""
        cursor: str | None = None
        one_thread = anyio.CapacityLimiter(1)
        while True:
            try:
                if cursor is None:
                    cursor = await to_thread.run_sync(self._transitions.latest_cursor, limiter=one_thread)
                    self._wake_all()
                news = await to_thread.run_sync(
                    lambda at: self._transitions.read_after(at, wait_seconds=_READ_SECONDS),
                    cursor,
                    limiter=one_thread,
                    abandon_on_cancel=True,
                )
            except Unavailable as error:
                _log.warning("changes_unread", why=error.message)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if news:
                cursor = news[-1].cursor
                for job_id in {change.job_id for change in news} | {_ANY}:
                    for listener in self._listeners.get(job_id, ()):
                        listener.wake()

    def end(self) -> None:
        """Let everybody who waits answer now: this process stops."""
        self._ending = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.ending = True
        self._wake_all()

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake()


@contextmanager
def ending_on_signals(wakeups: JobUpdates) -> Iterator[None]:
    """Open streams would hold up the server's own orderly stop, so end them at the same signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ended(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(wakeups.end)
        servers_own = before[signal.Signals(number)]
        if callable(servers_own):
            servers_own(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, ended)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
