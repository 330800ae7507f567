"""Check the URLs that callers send, in a few threads of their own: resolving a name can take very long.

No request thread waits for a name, and no caller can use all lookups. `getaddrinfo` has no timeout, so a
lookup keeps its place until its thread ends, also after the request was answered.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from api.access.authentication import Caller
from api.config import CheckUrl
from shared.errors import AddressUnresolved, Overloaded
from shared.observability.logs import get_logger

_log = get_logger(__name__)

MAX_LOOKUPS = 16
MAX_LOOKUPS_PER_CALLER = 4
MAX_WAITING_PER_CALLER = 100
"""The items of one batch."""
TIMEOUT_SECONDS = 4.0
"""Of one check, with its wait for a place."""

_BUSY = "The service is resolving too many host names. Try again in a few seconds."
_TOO_SLOW = "Its host name was not resolved in time. Try again, or use another host name."


@dataclass(slots=True)
class _Share:
    """One caller's part of the lookups."""

    places: asyncio.Semaphore
    lookups: int = 0
    """Running and waiting."""


@dataclass(slots=True)
class _Lookup:
    started: bool = False


@dataclass(kw_only=True)
class LookupPool:
    """Runs blocking lookups in a limited number of threads, with a share for each caller."""

    max_lookups: int = MAX_LOOKUPS
    max_per_caller: int = MAX_LOOKUPS_PER_CALLER
    timeout_seconds: float = TIMEOUT_SECONDS
    _shares: dict[str, _Share] = field(default_factory=dict)
    _tasks: set["asyncio.Task[str]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.max_lookups)

    async def run(self, look_up: Callable[[], str], *, subject: str) -> str:
        """Return what *look_up* returns, or raise what it raises.

        Raises:
            Overloaded: no place became free in time.
            AddressUnresolved: the lookup took too long.
        """
        lookup = _Lookup()
        task = asyncio.create_task(self._run(look_up, lookup, subject))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait({task}, timeout=self.timeout_seconds)
        finally:
            if not lookup.started:
                task.cancel()
        if task.done():
            return task.result()
        if lookup.started:
            raise AddressUnresolved(_TOO_SLOW)
        _log.warning("lookups_exhausted", subject=subject)
        raise Overloaded(_BUSY)

    def _forget(self, task: "asyncio.Task[str]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited may have left

    async def _run(self, look_up: Callable[[], str], lookup: _Lookup, subject: str) -> str:
        async with self._share(subject) as share, share.places, self._places:
            lookup.started = True
            return await _in_thread(look_up)

    @asynccontextmanager
    async def _share(self, subject: str) -> AsyncIterator[_Share]:
        share = self._shares.setdefault(subject, _Share(asyncio.Semaphore(self.max_per_caller)))
        if share.lookups >= self.max_per_caller + MAX_WAITING_PER_CALLER:
            _log.warning("lookups_exhausted", subject=subject)
            raise Overloaded(_BUSY)
        share.lookups += 1
        try:
            yield share
        finally:
            share.lookups -= 1
            if not share.lookups:
                del self._shares[subject]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlChecker:
    """Checks one kind of URL."""

    check_url: CheckUrl
    pool: LookupPool

    async def check(self, url: str, caller: Caller) -> str:
        """Return the URL in its normal form. Raises AddressRefused, AddressUnresolved, Overloaded."""
        return await self.pool.run(partial(self.check_url, url), subject=caller.subject)


async def _in_thread(look_up: Callable[[], str]) -> str:
    """Run in a new daemon thread: a thread of a pool would delay the end of the process."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()

    def tell(setter: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the server has stopped in the meantime
            loop.call_soon_threadsafe(lambda: None if result.done() else setter())

    def work() -> None:
        try:
            found = look_up()
        except Exception as error:
            tell(partial(result.set_exception, error))
        else:
            tell(partial(result.set_result, found))

    try:
        threading.Thread(target=work, name="lookup", daemon=True).start()
    except RuntimeError as error:  # the limit of threads is reached
        raise Overloaded(_BUSY) from error
    return await result
