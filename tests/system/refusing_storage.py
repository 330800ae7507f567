"""A way to our storage on which chosen requests get no answer, as while it is started anew."""

import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.receivers import a_socket
from tests.servers import S3Server

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
def a_refusing_proxy(storage: S3Server) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy()
    at = urlsplit(storage.endpoint_url)

    def serve(client: socket.socket) -> None:
        with socket.create_connection((at.hostname, at.port)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for one, other in ((client, server), (server, client)):
                    if one in ready:
                        said = one.recv(65536)
                        if not said or (one is client and proxy.refuses(said)):
                            return
                        other.sendall(said)

    with a_socket(serve) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
