"""Time out clients that send a body too slowly. One rule covers silence and slowness.

Each client has a budget of seconds. Waiting for it spends the budget, and each byte that it
sends refills it at the minimum rate. While other uploads wait for memory, the rate is higher and the budget
smaller.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import UploadStalled

_CONTENDED_SECONDS = 5.0
_CONTENDED_FACTOR = 8


@dataclass(slots=True)
class _TimeBudget:
    max_seconds: float
    min_bytes_per_second: float
    seconds: float

    def spend(self, seconds: float) -> None:
        self.seconds = max(0.0, self.seconds - seconds)

    def refill(self, size_bytes: int) -> None:
        self.seconds = min(self.max_seconds, self.seconds + size_bytes / self.min_bytes_per_second)


class MinRateTimeout:
    """The time budget of one client. Only the time spent waiting for the client counts."""

    def __init__(
        self, *, idle_seconds: float, min_bytes_per_second: float, busy: Callable[[], bool] = lambda: False
    ) -> None:
        """*busy* tells whether other uploads wait for memory now."""
        contended_seconds = min(_CONTENDED_SECONDS, idle_seconds)
        self._normal = _TimeBudget(idle_seconds, min_bytes_per_second, idle_seconds)
        self._contended = _TimeBudget(
            contended_seconds, min_bytes_per_second * _CONTENDED_FACTOR, contended_seconds
        )
        self._busy = busy
        self._timeout: asyncio.Timeout | None = None

    def received(self, size_bytes: int) -> None:
        """Count bytes that the client sent."""
        self._normal.refill(size_bytes)
        self._contended.refill(size_bytes)

    def hurry(self) -> None:
        """Shorten the current wait, because other uploads began to wait for memory."""
        if self._timeout is not None and not self._timeout.expired():
            latest = asyncio.get_running_loop().time() + self._contended.max_seconds
            self._timeout.reschedule(min(self._timeout.when() or latest, latest))

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Time the wait for the client in the `with` block. Raises UploadStalled when the budget is spent."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        budget = self._contended if self._busy() else self._normal
        try:
            async with asyncio.timeout(budget.seconds) as self._timeout:
                yield
        except TimeoutError:
            raise UploadStalled(
                "The upload stopped or was too slow. Upload the file again over a faster connection."
            ) from None
        finally:
            self._timeout = None
            waited = loop.time() - started
            self._normal.spend(waited)
            self._contended.spend(waited)


class BodyTimeout:
    """Middleware that responds 408 to a client that stops in the middle of a body, or sends it too slowly."""

    def __init__(self, app: ASGIApp, *, idle_seconds: float, min_bytes_per_second: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._min_bytes_per_second = min_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        timeout = MinRateTimeout(
            idle_seconds=self._idle_seconds, min_bytes_per_second=self._min_bytes_per_second
        )
        ended = False

        async def receive_in_time() -> Message:
            nonlocal ended
            if ended:
                return await receive()  # returns when the client disconnects
            try:
                async with timeout.waiting():
                    message = await receive()
            except UploadStalled:
                detail = "The request body stopped or was too slow. Send the request again."
                raise HTTPException(408, detail) from None
            timeout.received(len(message.get("body", b"")))
            ended = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
