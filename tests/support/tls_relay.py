"""A port that speaks TLS with clients that want it, and passes everything on to a server without TLS."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import trustme

_HANDSHAKE = b"\x16"
"""The first byte that a TLS client sends."""


@dataclass(frozen=True)
class Relay:
    """Where it listens, and how many clients came with and without TLS."""

    port: int
    clients: dict[bool, int]


@contextmanager
def tls_relay(server_port: int, authority: trustme.CA, *, host: str = "127.0.0.1") -> Iterator[Relay]:
    """Relay to a port of this machine, with a certificate for *host* by *authority*."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(tls)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        relay = Relay(listener.getsockname()[1], {True: 0, False: 0})

        def accept() -> None:
            with suppress(OSError):  # the listener was closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(
                        target=_pass_on, args=(client, server_port, tls, relay), daemon=True
                    ).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield relay
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _pass_on(client: socket.socket, server_port: int, tls: ssl.SSLContext, relay: Relay) -> None:
    with suppress(OSError), closing(client), socket.create_connection(("127.0.0.1", server_port)) as server:
        is_tls = client.recv(1, socket.MSG_PEEK) == _HANDSHAKE
        relay.clients[is_tls] += 1
        near = tls.wrap_socket(client, server_side=True) if is_tls else client
        with closing(near):
            while True:
                pending = isinstance(near, ssl.SSLSocket) and near.pending()
                readable = [near] if pending else select.select([near, server], [], [])[0]
                for source in readable:
                    block = source.recv(65_536)
                    if not block:
                        return
                    (server if source is near else near).sendall(block)
