"""Servers of other people: they record what they receive and answer as a test configures, if at all."""

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Reply = tuple[int, dict[str, str], bytes]
Answers = Callable[[ReceivedRequest], Reply]


def fine(_: ReceivedRequest) -> Reply:
    return 200, {}, b"thanks"


@dataclass
class WebhookReceiver:
    """An HTTP server on 127.0.0.1. `answers` may be changed while it runs."""

    url: str
    port: int
    answers: Answers = fine
    requests: list[ReceivedRequest] = field(default_factory=list)


@contextmanager
def running_receiver(
    answers: Answers = fine, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[WebhookReceiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = ReceivedRequest(self.command, self.path, headers, body, time.monotonic())
            receiver.requests.append(got)
            status, more, content = receiver.answers(got)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            if "Content-Length" not in more:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that hang up are what some tests are about

    with Quiet(("127.0.0.1", port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https" if tls else "http"
        at = server.server_address[1]
        receiver = WebhookReceiver(f"{scheme}://127.0.0.1:{at}/hook", at, answers)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def socket_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where every connection is given to `serve`, in a thread of its own. Yields the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def accept() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=attend, args=[connected], daemon=True).start()

        def attend(connected: socket.socket) -> None:
            with connected, suppress(OSError):
                serve(connected)
                hang_up(connected)

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def hang_up(connected: socket.socket) -> None:
    """End the answer and take the rest of the request: a socket closed with bytes unread is reset."""
    connected.shutdown(socket.SHUT_WR)
    hang(connected)


def hang(connected: socket.socket) -> None:
    """Take everything, say nothing."""
    while connected.recv(65536):
        pass


def trickle(connected: socket.socket) -> None:
    """One byte of an answer at a time, forever."""
    connected.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connected.sendall(b"x")
        time.sleep(0.02)
