"""One pool of part buffers for all uploads of this process. Waits are bounded, and there is no deadlock.

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
    """The bytes that one buffer of one upload may use. Always release it."""

    pool: "BufferPool"
    on_pressure: Callable[[], None]
    """Called when others wait for bytes that this one holds."""
    size_bytes: int = 0
    sending: bool = False
    """Full, and being sent to storage: its bytes come back without the client's help."""

    async def grow(self, size_bytes: int, *, wait_seconds: float) -> None:
        """Reserve this many bytes in all. Raises Overloaded if they don't become free in time."""
        await self.pool._grow(self, size_bytes, wait_seconds)

    def mark_sending(self) -> None:
        """Mark the buffer as being sent to storage."""
        self.sending = True
        self.pool._serve()

    def release(self) -> None:
        """Give everything back. May be called twice."""
        self.pool._release(self)


@dataclass(slots=True, eq=False)
class _Waiter:
    reservation: Reservation
    size_bytes: int
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BufferPool:
    """A pool for one event loop."""

    def __init__(self, total_bytes: int, *, part_bytes: int) -> None:
        if total_bytes < part_bytes:
            raise ValueError("the pool must hold at least one part")
        self.total_bytes = total_bytes
        self.part_bytes = part_bytes
        self._reservations: set[Reservation] = set()
        self._waiters: list[_Waiter] = []

    @property
    def used_bytes(self) -> int:
        """How many bytes are reserved."""
        return sum(reservation.size_bytes for reservation in self._reservations)

    @property
    def is_contended(self) -> bool:
        """Whether an upload waits for memory."""
        return bool(self._waiters)

    def reserve(self, *, on_pressure: Callable[[], None] = lambda: None) -> Reservation:
        """Return an empty reservation, to grow."""
        return Reservation(self, on_pressure)

    async def _grow(self, reservation: Reservation, size_bytes: int, wait_seconds: float) -> None:
        if self._fits(reservation, size_bytes):
            return self._grant(reservation, size_bytes)
        waiter = _Waiter(reservation, size_bytes)
        self._waiters.append(waiter)
        for other in self._reservations:
            if other is not reservation:
                other.on_pressure()
        try:
            async with asyncio.timeout(wait_seconds):
                await waiter.granted
        except TimeoutError:
            raise Overloaded("Too many uploads are in progress. Try again in a few seconds.") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _fits(self, reservation: Reservation, size_bytes: int) -> bool:
        free = self.total_bytes - self.used_bytes - (size_bytes - reservation.size_bytes)
        if free < 0:
            return False
        returning = sum(other.size_bytes for other in self._reservations if other.sending)
        filling = [
            other.size_bytes for other in self._reservations if not other.sending and other is not reservation
        ]
        return free + returning >= self.part_bytes - max([size_bytes, *filling])

    def _grant(self, reservation: Reservation, size_bytes: int) -> None:
        reservation.size_bytes = size_bytes
        self._reservations.add(reservation)

    def _release(self, reservation: Reservation) -> None:
        reservation.size_bytes = 0
        self._reservations.discard(reservation)
        self._serve()

    def _serve(self) -> None:
        """Grant what fits: the fullest first, as it gives its bytes back next; then in order of arrival."""
        for waiter in sorted(self._waiters, key=lambda waiter: -waiter.reservation.size_bytes):
            if not waiter.granted.done() and self._fits(waiter.reservation, waiter.size_bytes):
                self._grant(waiter.reservation, waiter.size_bytes)
                waiter.granted.set_result(None)
                self._waiters.remove(waiter)
