"""Slow down whoever guesses passwords. The right password is never refused for the wrong ones of others.

A wrong password is answered only after a pause. It grows with the wrong passwords of the same address, and
with those of all addresses together. The right one is answered at once. So that parallel requests don't guess
faster, few may wait at the same time: any more are refused without a look at the password. A device that has
logged in before has a signed cookie, and with it places and pauses of its own (OWASP: device cookies).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.errors import LimitReached
from shared.observability.logs import get_logger
from shared.ports.admin import SecretStore

_log = get_logger(__name__)

WINDOW_SECONDS = 900
"""How long a wrong password counts."""
FREE_FAILURES = 5
"""Wrong passwords of one address or device without a pause."""
FREE_FAILURES_OF_ALL = 50
MAX_PAUSE_SECONDS = 15.0
MAX_CHECKS = 5
"""Logins of one address or device at the same time, with their pauses."""
MAX_CHECKS_OF_ALL = 50
"""Of all addresses, without known devices."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LoginClient:
    """Who tries to log in."""

    address: str
    """Hashed."""
    device: str | None = None
    """The id of a device that has logged in before."""

    @property
    def name(self) -> str:
        """What is counted."""
        return f"device:{self.device}" if self.device else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailure:
    """A wrong password."""

    count: int
    """How many the client has sent in this window."""
    pause_seconds: float


class LoginThrottle:
    """Counts wrong passwords in the store that all API processes share, and pauses in this process."""

    def __init__(self, store: SecretStore, *, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._sleep = sleep
        self._checks: Counter[str] = Counter()
        self._unknown = 0

    @asynccontextmanager
    async def checking(self, client: LoginClient) -> AsyncIterator[None]:
        """Hold a place while a password is checked and while its pause lasts. Raises LimitReached."""
        is_unknown = client.device is None
        if self._checks[client.name] >= MAX_CHECKS or (is_unknown and self._unknown >= MAX_CHECKS_OF_ALL):
            raise LimitReached(
                f"Too many attempts. Try again in {MAX_PAUSE_SECONDS:.0f} s.",
                retry_after_seconds=round(MAX_PAUSE_SECONDS),
            )
        self._checks[client.name] += 1
        self._unknown += is_unknown
        try:
            yield
        finally:
            self._unknown -= is_unknown
            self._checks[client.name] -= 1
            if not self._checks[client.name]:
                del self._checks[client.name]

    def record_failure(self, client: LoginClient) -> LoginFailure:
        """Count a wrong password. Blocking."""
        own = self._store.count_attempt(f"login:{client.name}", window_seconds=WINDOW_SECONDS)
        pause = pause_seconds(own, FREE_FAILURES)
        if client.device is None:
            total = self._store.count_attempt("login", window_seconds=WINDOW_SECONDS)
            pause = max(pause, pause_seconds(total, FREE_FAILURES_OF_ALL))
        _log.warning("login_failed", client=client.name, failures=own, pause_seconds=pause)
        return LoginFailure(count=own, pause_seconds=pause)

    async def pause(self, failure: LoginFailure) -> None:
        """Wait before a wrong password is answered."""
        await self._sleep(failure.pause_seconds)


def pause_seconds(failures: int, free: int) -> float:
    """Nothing for the first, then 1, 2, 4 s and so on, up to the longest."""
    return 0.0 if failures <= free else min(MAX_PAUSE_SECONDS, 2.0 ** min(failures - free - 1, 10))
