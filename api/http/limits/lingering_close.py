"""Close a connection so that the client can read a response that came before the end of its request.

A socket that is closed with unread bytes sends a reset, and the client's system then drops the response: an
upload that was refused with 401, 413 or 415 looks like a broken connection, behind a proxy like a 502. So
the response is followed by the end of our side only, and the rest of the request is read and dropped for a
limited time, as in nginx (`lingering_close`).

Head and body of a response leave in one write. uvicorn makes two: a client over HTTP/2 ends its upload when
it has the head of a refusal, and nginx then drops the body, which comes later.
"""

import asyncio
from asyncio import Handle, TimerHandle
from typing import Any


class LingeringTransport:
    """A transport whose `close` lingers if the request has unread bytes. Otherwise the transport it wraps."""

    idle_seconds = 5.0
    """How long to wait for more bytes to drop."""
    total_seconds = 30.0
    max_bytes = 512 * 1024 * 1024
    max_unwritten_bytes = 64 * 1024
    """How much to keep for one write at the end of the event loop's turn."""

    def __init__(self, transport: asyncio.Transport, *, loop: asyncio.AbstractEventLoop) -> None:
        self.unread = False
        """Whether the client has not sent its whole request yet."""
        self.lingering = False
        self._transport = transport
        self._loop = loop
        self._dropped_bytes = 0
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._next_write: Handle | None = None
        self._idle_timer: TimerHandle | None = None
        self._total_timer: TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write data together with all else that is written in this turn of the event loop."""
        self._unwritten.append(data)
        self._unwritten_bytes += len(data)
        if self._unwritten_bytes > self.max_unwritten_bytes:
            self.flush()
        elif self._next_write is None:
            self._next_write = self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is kept."""
        if self._next_write is not None:
            self._next_write.cancel()
            self._next_write = None
        data = self._unwritten
        self._unwritten, self._unwritten_bytes = [], 0
        if data:
            self._transport.writelines(data)

    def is_closing(self) -> bool:
        """Whether nothing may be written anymore."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Close at once, or linger if the request has unread bytes."""
        if self.is_closing():
            return
        self.flush()
        if not self.unread or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()  # after all that was written
        self._transport.resume_reading()
        self._total_timer = self._loop.call_later(self.total_seconds, self._transport.abort)
        self._restart_idle_timer()

    def drop(self, data: bytes) -> None:
        """Take bytes of the request that nobody reads."""
        self._dropped_bytes += len(data)
        if self._dropped_bytes > self.max_bytes:
            self._transport.abort()
        else:
            self._restart_idle_timer()

    def cancel_timers(self) -> None:
        """Call this once the connection is lost."""
        for timer in (self._idle_timer, self._total_timer, self._next_write):
            if timer is not None:
                timer.cancel()

    def _restart_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = self._loop.call_later(self.idle_seconds, self._transport.abort)
