"""uvicorn's HTTP connection, with limits on slow clients, lingering close, and no upgrades.

uvicorn itself limits only the idle time between two requests. Request bodies: see slow_clients.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.limits.lingering_close import LingeringTransport
from api.http.problems import problem


class Connection(HttpToolsProtocol):
    """For uvicorn's option `http`."""

    header_seconds = 15.0
    """How long a client may take to send the headers. For the first request, counted from the connection."""
    read_seconds = 60.0
    """How long a client may leave a full send buffer unread."""
    max_header_bytes = 64 * 1024
    """The largest size of headers, trailers and chunk headers together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: TimerHandle | None = None
        self._read_timer: TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = False
        self._in_request = False
        self._ignores_upgrade = False
        self._keep_alive = False
        self._shutting_down = False
        self._closing: LingeringTransport | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        self._closing = LingeringTransport(transport, loop=self.loop)
        super().connection_made(self._closing)  # type: ignore[arg-type]  # it wraps one
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        if self._read_timer is not None:
            self._read_timer.cancel()
        if self._closing is not None:
            self._closing.cancel_timers()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        if self._closing is not None:
            self._closing.flush()  # the transport closes itself next
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        if self._closing is not None and self._closing.lingering:
            self._closing.drop(data)
            return
        self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        if self.transport.is_closing():
            return
        if self._in_request and self._header_bytes > self.max_header_bytes:
            self._respond_and_close(
                431, "headers_too_large", f"Send at most {self.max_header_bytes:,} bytes of headers."
            )
        elif not self._in_request and self._is_idle:
            self._start_header_timer()  # empty lines between two requests are not a request

    def _feed(self, data: bytes) -> None:
        """Parse data. Ignores an offer to upgrade (h2c, WebSocket), which RFC 9110 allows.

        The parser ends such a request at its headers and leaves the body to the new protocol. So the request
        is parsed again without the offer.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignores_upgrade = False
            if self.parser.get_method() == b"CONNECT":
                self.send_400_response("")
                return
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
            self._feed(head + data[upgrade.args[0] :])

    def _head_without_upgrade(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                value = b", ".join(option for option in options if option.lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = self._in_request = True
        self._mark_unread(True)
        self._start_header_timer()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self._ignores_upgrade = True
            return
        self._in_headers = False
        self._stop_header_timer()
        super().on_headers_complete()
        # A response that begins before the end of the request closes the connection: HAProxy uses it for the
        # next request, although it does not send the rest of this one.
        self._keep_alive = self.cycle.keep_alive
        self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignores_upgrade:
            return
        self._in_request = False
        self._mark_unread(False)
        self._header_bytes = 0
        self._stop_header_timer()
        if not self.cycle.response_started and not self._shutting_down:
            self.cycle.keep_alive = self._keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_request and self._is_idle:
            self.cycle.body.clear()  # of what is refused, nothing is kept
            self._start_header_timer()  # for the rest of a refused body

    def shutdown(self) -> None:
        self._shutting_down = True
        if self._closing is not None and self._closing.lingering:
            self.transport.abort()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._respond_and_close(400, "bad_http", "This is not a valid HTTP/1.1 request.")

    def _mark_unread(self, unread: bool) -> None:
        if self._closing is not None:
            self._closing.unread = unread

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self._on_header_timeout)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if not self._is_idle:
            self._start_header_timer()  # the next request began before the response to this one ended
        elif self._in_headers:
            seconds = f"{self.header_seconds:g}"
            self._respond_and_close(
                408, "request_timeout", f"Send all headers of a request within {seconds} s."
            )
        else:
            self._close()

    def _respond_and_close(self, status: int, code: str, detail: str) -> None:
        answered = self._is_idle and not self.transport.is_closing()
        if answered:
            response = problem(status, code, detail, {"Connection": "close"})
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            lines += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        if self._closing is not None:
            self._closing.unread, self._closing.max_bytes = answered, self.max_header_bytes
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(
            self.header_seconds, self.transport.abort
        )  # even if the client does not read the response
