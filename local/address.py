"""The address of the API, and whether it is ready."""

import errno
import json
import socket
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from local.processes import CannotStart

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - values of --host
READY_TIMEOUT_SECONDS = 5.0
_MISSING = {
    "jobs": "Redis is unavailable: check KAMMERTON_REDIS_URL.",
    "audio": "The bucket is unavailable: check KAMMERTON_S3_ENDPOINT_URL, KAMMERTON_S3_BUCKET and the keys.",
}
"""By the names of /readyz."""


def check_free(host: str, port: int) -> None:
    """Raise CannotStart with one sentence if the address cannot be used, instead of a traceback later."""
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
                f"Port {port} of {host} is in use. Stop the process that listens there, "
                "or choose another port with --port (0 takes any free port)."
            ) from None
        raise CannotStart(
            f"Cannot listen on port {port} of {host} ({error.strerror}). "
            "Choose another address with --host and --port."
        ) from None


def reachable(host: str) -> str:
    """The host to connect to, for a host to listen on."""
    return WILDCARDS.get(host, host)


def url(host: str, port: int) -> str:
    """The base URL."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def what_is_missing(address: str) -> str:
    """What /readyz says that a new job still needs, as sentences. Empty when one is accepted and run."""
    try:
        try:
            response = build_opener(ProxyHandler({})).open(address, timeout=READY_TIMEOUT_SECONDS)
        except HTTPError as refused:
            response = refused
        with response:
            answer = json.load(response)
    except (OSError, HTTPException, ValueError):
        answer = None
    if not isinstance(answer, dict):
        return "The API does not answer yet."
    sentences = [sentence for name, sentence in _MISSING.items() if not answer.get(name)]
    if not sentences and answer.get("status") != "ready":
        sentences = ["No worker is running yet."]
    return " ".join(sentences)
