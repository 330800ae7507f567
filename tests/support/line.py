"""A line between a browser and a server that a test can cut."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.webhook_receivers import socket_server


@dataclass
class Line:
    """Forwards bytes. `url` is its near end."""

    url: str = ""
    _is_cut: threading.Event = field(default_factory=threading.Event)
    _open: set[socket.socket] = field(default_factory=set)

    def cut(self) -> None:
        """End all connections, and end new ones at once."""
        self._is_cut.set()
        for connection in tuple(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended already

    def restore(self) -> None:
        """Forward again."""
        self._is_cut.clear()

    def _serve(self, client: socket.socket, host: str, port: int) -> None:
        if self._is_cut.is_set():
            return
        with socket.create_connection((host, port)) as server:
            self._open |= {client, server}
            try:
                _forward(client, server)
            except OSError:
                return  # cut
            finally:
                self._open -= {client, server}


def _forward(client: socket.socket, server: socket.socket) -> None:
    other = {client: server, server: client}
    while True:
        ready, _, _ = select.select([client, server], [], [])
        for end in ready:
            data = end.recv(65536)
            if not data:
                return
            other[end].sendall(data)


@contextmanager
def running_line(server: str) -> Iterator[Line]:
    """A line to the server at an address."""
    at = urlsplit(server)
    assert at.hostname is not None
    assert at.port is not None
    host, port = at.hostname, at.port
    line = Line()
    with socket_server(lambda client: line._serve(client, host, port)) as near:
        line.url = f"http://127.0.0.1:{near}"
        yield line
