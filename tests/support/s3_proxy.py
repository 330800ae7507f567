"""A way to our storage on which a test may meddle with single requests."""

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.receivers import a_socket
from tests.servers import S3Server

Meddle = Callable[[bytes, socket.socket, socket.socket], bool]


@contextmanager
def a_relay(storage: S3Server, meddle: Meddle) -> Iterator[str]:
    """Yields its address. `meddle` sees the beginning of each request, its client and the storage.

    Where it returns True it has dealt with the request in its own way, and the connection ends.
    """
    at = urlsplit(storage.endpoint_url)

    def serve(client: socket.socket) -> None:
        with socket.create_connection((at.hostname, at.port)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    asked = client.recv(65536)
                    if not asked or meddle(asked, client, server):
                        return
                    server.sendall(asked)
                if server in ready:
                    answer = server.recv(65536)
                    if not answer:
                        return
                    client.sendall(answer)

    with a_socket(serve) as port:
        yield f"http://127.0.0.1:{port}"
