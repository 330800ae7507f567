"""How long we wait for one client: one rule for silence and for slowness.

A client has so many seconds in hand. Waiting for it spends them, what it sends earns them back, at the least
rate that it must keep. While others wait for memory, the rate is higher and there are fewer seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import UploadStalled

_BUSY_SECONDS = 5.0
_BUSY_TIMES = 8


@dataclass(slots=True)
class _Purse:
    most_seconds: float
    least_rate: float
    """Bytes/s."""
    seconds: float

    def spend(self, seconds: float) -> None:
        self.seconds = max(0.0, self.seconds - seconds)

    def earn(self, size_bytes: int) -> None:
        self.seconds = min(self.most_seconds, self.seconds + size_bytes / self.least_rate)


class MinRateTimeout:
    """One client's time in hand. Only time spent waiting for the client counts, not our own."""

    def __init__(
        self, *, idle_seconds: float, least_bytes_per_second: float, busy: Callable[[], bool] = lambda: False
    ) -> None:
        """*busy* says whether others wait for memory right now."""
        brief = min(_BUSY_SECONDS, idle_seconds)
        self._calm = _Purse(idle_seconds, least_bytes_per_second, idle_seconds)
        self._brisk = _Purse(brief, least_bytes_per_second * _BUSY_TIMES, brief)
        self._busy = busy
        self._timeout: asyncio.Timeout | None = None

    def received(self, size_bytes: int) -> None:
        """The client sent something."""
        self._calm.earn(size_bytes)
        self._brisk.earn(size_bytes)

    def hurry(self) -> None:
        """Others begin to wait: a client that we are waiting for has less time from here on."""
        if self._timeout is not None and not self._timeout.expired():
            soon = asyncio.get_running_loop().time() + self._brisk.most_seconds
            self._timeout.reschedule(min(self._timeout.when() or soon, soon))

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for the client inside. Raises UploadStalled when its time is up."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        purse = self._brisk if self._busy() else self._calm
        try:
            async with asyncio.timeout(purse.seconds) as self._timeout:
                yield
        except TimeoutError:
            raise UploadStalled(
                "The upload stopped, or came too slowly; send the file again over a faster connection."
            ) from None
        finally:
            self._timeout = None
            waited = loop.time() - since
            self._calm.spend(waited)
            self._brisk.spend(waited)


class BodyTimeout:
    """Answers 408 to a client that stops in the middle of a body, or sends it too slowly."""

    def __init__(self, app: ASGIApp, *, idle_seconds: float, least_bytes_per_second: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._least_rate = least_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        pace = MinRateTimeout(idle_seconds=self._idle_seconds, least_bytes_per_second=self._least_rate)
        ended = False

        async def in_time() -> Message:
            nonlocal ended
            if ended:
                return await receive()  # waits for the client to hang up
            try:
                async with pace.waiting():
                    message = await receive()
            except UploadStalled:
                detail = "The request's body stopped, or came too slowly; send it again."
                raise HTTPException(408, detail) from None
            pace.received(len(message.get("body", b"")))
            ended = not message.get("more_body", False)
            return message

        await self._app(scope, in_time, send)
