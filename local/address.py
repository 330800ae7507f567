"""Where the API listens, and whether it is ready."""

import errno
import socket
from urllib.request import ProxyHandler, build_opener

from local.processes import CannotStart

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a person may give as --host
READY_SECONDS = 5.0  # for one answer


def check_free(host: str, port: int) -> None:
    """Better now, in a sentence, than later in a server's log."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} of {host} is in use: stop what listens there, "
                "or choose another with --port (0: any free one)."
            ) from None
        raise CannotStart(
            f"Cannot listen on port {port} of {host} ({error.strerror}): "
            "choose others with --host and --port."
        ) from None


def reachable(host: str) -> str:
    """An address to call, for one to listen on."""
    return ANYWHERE.get(host, host)


def url(host: str, port: int) -> str:
    """Without a path."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_ready(address: str) -> bool:
    """True for a 200 that does not speak of a service without workers."""
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=READY_SECONDS) as answer:
            return bool(answer.status == 200 and b'"degraded"' not in answer.read())
    except OSError:
        return False
