"""One HTTP connection: uvicorn's, but nobody holds it by sending or taking bytes slowly, or without end.

uvicorn bounds only the silence between two requests. Bodies of requests are api.pace's.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.problems import problem


class Connection(HttpToolsProtocol):
    """For uvicorn's setting `http`."""

    header_seconds = 15.0
    """How long a request may take until its headers are complete, also the first from the connection on."""
    reading_seconds = 60.0
    """A client that has taken no more than a buffer of an answer in so long has gone."""
    most_header_bytes = 64 * 1024
    """Of headers, trailers, and whatever else stands around a body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: TimerHandle | None = None
        self._reading: TimerHandle | None = None
        self._bytes_besides = 0
        self._in_headers = False
        self._in_request = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._bytes_besides += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_request and self._bytes_besides > self.most_header_bytes:
            self._refuse(
                431, "headers_too_large", f"Send at most {self.most_header_bytes:,} bytes of headers."
            )
        elif not self._in_request and self._is_idle:
            self._wait()  # line ends between two requests are none

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = self._in_request = True
        self._wait()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_besides = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_request = False
        self._bytes_besides = 0
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_request and self._is_idle:
            self._wait()  # for the rest of a body that was refused

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(self.reading_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad_http", "This is no HTTP request that we understand.")

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.header_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if not self._is_idle:
            self._wait()  # the beginning of the next request came before the answer to this one
        elif self._in_headers:
            seconds = f"{self.header_seconds:g}"
            self._refuse(408, "request_timeout", f"Send the whole of a request's headers within {seconds} s.")
        else:
            self._close()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self._is_idle and not self.transport.is_closing():
            answer = problem(status, code, detail, {"Connection": "close"})
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            lines += [name + b": " + value for name, value in answer.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(self.header_seconds, self.transport.abort)  # though the answer is not taken
