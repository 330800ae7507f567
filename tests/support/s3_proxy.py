"""A way to our storage on which a test may intercept with single requests."""

import re
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.servers import S3Server
from tests.support.webhook_receivers import socket_server

Intercept = Callable[[bytes, socket.socket, socket.socket], bool]


@contextmanager
def s3_relay(storage: S3Server, intercept: Intercept) -> Iterator[str]:
    """Yields its address. `intercept` sees the beginning of each request, its client and the storage.

    Where it returns True it has dealt with the request in its own way, and the connection ends.
    """
    at = urlsplit(storage.endpoint_url)

    def serve(client: socket.socket) -> None:
        with socket.create_connection((at.hostname, at.port)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    asked = client.recv(65536)
                    if not asked or intercept(asked, client, server):
                        return
                    server.sendall(asked)
                if server in ready:
                    answer = server.recv(65536)
                    if not answer:
                        return
                    client.sendall(answer)

    with socket_server(serve) as port:
        yield f"http://127.0.0.1:{port}"


TRIES_OF_A_CALL = 3
"""By our S3 client, before it gives up."""


@dataclass
class RefusingProxy:
    """Between us and a storage that is well."""

    url: str = ""
    left: int = 0
    """How many requests are still to be refused."""
    _wanted: re.Pattern[bytes] = re.compile(b"")

    def refuse_one_call(self, method: str, address: str) -> None:
        """The next one whose path and query match; the one after it succeeds."""
        self._wanted = re.compile(rf"{method} \S*{address} HTTP/1.1\r\n".encode())
        self.left = TRIES_OF_A_CALL

    def refuses(self, asked: bytes) -> bool:
        if self.left == 0 or not self._wanted.match(asked):
            return False
        self.left -= 1
        return True


@contextmanager
def refusing_s3_proxy(storage: S3Server) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy()
    with s3_relay(storage, lambda asked, *_: proxy.refuses(asked)) as proxy.url:
        yield proxy
