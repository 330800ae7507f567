"""One budget of part buffers for all uploads of this process: waits are bounded, and nobody deadlocks.

What an upload holds grows with what its client has sent. A buffer may only grow while enough stays free
for the fullest buffer to become a whole part: that one can then be sent, and gives its bytes back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import Overloaded

FIRST_BYTES = 16 * 1024


@dataclass(slots=True, eq=False)
class Reservation:
    """The bytes that one buffer of one upload may use. Release it, whatever happens."""

    budget: "BufferPool"
    hurry: Callable[[], None]
    """Called when others wait for bytes that this one holds."""
    size_bytes: int = 0
    sending: bool = False
    """Full, and on its way to storage: it comes back by itself."""

    async def grow(self, size_bytes: int, *, wait_seconds: float) -> None:
        """Hold so many bytes in all. Raises Overloaded when they don't become free in time."""
        await self.budget._grow(self, size_bytes, wait_seconds)

    def send(self) -> None:
        """Say that this buffer is on its way out."""
        self.sending = True
        self.budget._serve()

    def release(self) -> None:
        """Give everything back. May be called twice."""
        self.budget._release(self)


@dataclass(slots=True, eq=False)
class _Waiter:
    hold: Reservation
    size_bytes: int
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BufferPool:
    """For one event loop."""

    def __init__(self, total_bytes: int, *, part_bytes: int) -> None:
        if total_bytes < part_bytes:
            raise ValueError("the budget must hold one part at least")
        self.total_bytes = total_bytes
        self.part_bytes = part_bytes
        self._holds: set[Reservation] = set()
        self._waiters: list[_Waiter] = []

    @property
    def held_bytes(self) -> int:
        """How much of the budget is in use."""
        return sum(hold.size_bytes for hold in self._holds)

    @property
    def contended(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    def hold(self, *, hurry: Callable[[], None] = lambda: None) -> Reservation:
        """A buffer of no bytes yet."""
        return Reservation(self, hurry)

    async def _grow(self, hold: Reservation, size_bytes: int, wait_seconds: float) -> None:
        if self._fits(hold, size_bytes):
            return self._grant(hold, size_bytes)
        waiter = _Waiter(hold, size_bytes)
        self._waiters.append(waiter)
        for other in self._holds:
            if other is not hold:
                other.hurry()
        try:
            async with asyncio.timeout(wait_seconds):
                await waiter.granted
        except TimeoutError:
            raise Overloaded(
                "Too many uploads are under way; send the file again in a few seconds.",
            ) from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _fits(self, hold: Reservation, size_bytes: int) -> bool:
        free = self.total_bytes - self.held_bytes - (size_bytes - hold.size_bytes)
        if free < 0:
            return False
        returning = sum(other.size_bytes for other in self._holds if other.sending)
        filling = [other.size_bytes for other in self._holds if not other.sending and other is not hold]
        return free + returning >= self.part_bytes - max([size_bytes, *filling])

    def _grant(self, hold: Reservation, size_bytes: int) -> None:
        hold.size_bytes = size_bytes
        self._holds.add(hold)

    def _release(self, hold: Reservation) -> None:
        hold.size_bytes = 0
        self._holds.discard(hold)
        self._serve()

    def _serve(self) -> None:
        """The fullest first: it is the next to give its bytes back. Among equals, who came first."""
        for waiter in sorted(self._waiters, key=lambda waiter: -waiter.hold.size_bytes):
            if not waiter.granted.done() and self._fits(waiter.hold, waiter.size_bytes):
                self._grant(waiter.hold, waiter.size_bytes)
                waiter.granted.set_result(None)
                self._waiters.remove(waiter)
