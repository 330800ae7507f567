"""Connect to somebody else's server at an address that was judged, before one deadline for everything.

Names are resolved once, every address of a name is judged, and one of exactly these is connected to: a name
that changes between the check and the connection changes nothing. Environment proxies are not looked at.
"""

import base64
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore2

from shared.errors import AddressRefused, Unreachable
from shared.outbound.address_rules import NOT_PUBLIC, Address, OutboundRules

Resolver = Callable[[str, int], Sequence[str]]
"""From a host and a port to all of its addresses. Raises OSError."""

_MOST_TRIED = 4
_CONNECT_SECONDS = 5.0
_PULSE_SECONDS = 0.25
_LONGEST_PROXY_ANSWER_BYTES = 8 * 1024


def system_resolver(host: str, port: int) -> Sequence[str]:
    """What the operating system knows."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of everything, on the monotonic clock."""

    at: float
    on_wait: Callable[[], None] | None = None
    """Called several times a second while we wait; what it raises ends the waiting."""

    @classmethod
    def in_seconds(cls, seconds: float, *, on_wait: Callable[[], None] | None = None) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds, on_wait)

    def within(self, seconds: float) -> "Deadline":
        """The same, or an earlier one."""
        return Deadline(min(self.at, time.monotonic() + seconds), self.on_wait)

    def next_wait_seconds(self) -> float:
        """Seconds to wait at once: to the deadline, or to the next pulse. Raises as `left` and the pulse."""
        if self.on_wait is None:
            return self.remaining_seconds()
        self.on_wait()
        return min(self.remaining_seconds(), _PULSE_SECONDS)

    def remaining_seconds(self) -> float:
        """Seconds, more than none. Raises Unreachable when it has passed."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise Unreachable("It did not answer in time.", code="timeout")
        return left


def resolve(
    host: str, port: int, *, rules: OutboundRules, resolver: Resolver, deadline: Deadline
) -> tuple[Address, ...]:
    """All addresses of a host, every one of them allowed. Raises AddressRefused, Unreachable."""
    found: list[Sequence[str]] = []

    def ask() -> None:
        try:
            found.append(resolver(host, port))
        except (OSError, UnicodeError):
            found.append([])

    # getaddrinfo knows no time limit; a thread that it keeps ends by itself, with nobody listening
    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(deadline.next_wait_seconds())
    except Unreachable:
        pass  # as below
    if not found:
        raise Unreachable("Its name was not resolved in time.", code="timeout")
    try:
        addresses = [ip_address(text) for text in found[0]]
    except ValueError:
        raise AddressRefused(NOT_PUBLIC) from None
    return rules.check_addresses(addresses, port=port)


class CheckedNetworkBackend(httpcore2.NetworkBackend):
    """The network of one request. `address` tells where it was connected to."""

    def __init__(
        self, *, rules: OutboundRules, resolver: Resolver, proxy: str | None, deadline: Deadline
    ) -> None:
        self.address: Address | None = None
        self._rules = rules
        self._resolver = resolver
        self._proxy = proxy
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the judged addresses that answers."""
        addresses = resolve(host, port, rules=self._rules, resolver=self._resolver, deadline=self._deadline)
        failure: OSError | None = None
        for address in addresses[:_MOST_TRIED]:
            try:
                connected = self._connect(address, port)
            except OSError as error:
                failure = error
            else:
                self.address = address
                return _Stream(connected, self._deadline)
        self._deadline.remaining_seconds()
        if isinstance(failure, TimeoutError):
            raise Unreachable("No connection was made in time.", code="timeout")
        raise Unreachable("No connection could be made.", code="connect_failed")

    def _connect(self, address: Address, port: int) -> socket.socket:
        if self._proxy is None:
            return _connected(address, port, self._deadline.within(_CONNECT_SECONDS))
        return _through(self._proxy, address, port, self._deadline)


class _Stream(httpcore2.NetworkStream):
    """A socket whose every wait ends at the deadline. Timeouts of the caller are not looked at."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            self._socket.settimeout(self._deadline.next_wait_seconds())
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                continue  # the deadline decides whether there is another wait
            except OSError as error:
                raise _failure(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._socket.settimeout(self._deadline.remaining_seconds())
        try:
            self._socket.sendall(buffer)
        except TimeoutError as error:
            raise _failure(error) from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error  # an answer may be there already

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wrapped = ssl_context.wrap_socket(
            self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        try:
            _shake_hands(wrapped, self._deadline)
        except BaseException as error:
            wrapped.close()
            if isinstance(error, OSError):
                raise _failure(error) from error
            raise
        return _Stream(wrapped, self._deadline)


def _shake_hands(wrapped: ssl.SSLSocket, deadline: Deadline) -> None:
    while True:
        wrapped.settimeout(deadline.next_wait_seconds())
        try:
            return wrapped.do_handshake()
        except TimeoutError:
            continue  # it goes on where it stood


def _connected(address: Address, port: int, deadline: Deadline) -> socket.socket:
    """A connection. Raises OSError, also TimeoutError; what the deadline's pulse raises comes through."""
    connected = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        connected.setblocking(False)
        began = connected.connect_ex((str(address), port))
        if began not in (0, errno.EINPROGRESS):
            raise OSError(began, os.strerror(began))
        poll = select.poll()
        poll.register(connected, select.POLLOUT)
        while not poll.poll(1000 * _wait_to_connect(deadline)):
            pass
        failed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
    except BaseException:
        connected.close()
        raise
    return connected


def _wait_to_connect(deadline: Deadline) -> float:
    if deadline.at <= time.monotonic():
        raise TimeoutError
    return deadline.next_wait_seconds()


def _failure(error: OSError) -> Unreachable:
    if isinstance(error, TimeoutError):
        return Unreachable("It did not answer in time.", code="timeout")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(f"Its certificate is not valid: {error.verify_message}.", code="tls_failed")
    if isinstance(error, ssl.SSLError):
        return Unreachable("It does not speak TLS as we do.", code="tls_failed")
    return Unreachable("The connection was broken off.", code="broken_off")


def _through(proxy: str, address: Address, port: int, deadline: Deadline) -> socket.socket:
    """A tunnel to the judged address: the proxy, too, gets no name that could change its meaning."""
    way = urlsplit(proxy)
    host = f"[{address}]" if address.version == 6 else str(address)
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if way.username is not None:
        pair = f"{unquote(way.username)}:{unquote(way.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    connected = socket.create_connection((way.hostname or "", way.port or 3128), deadline.remaining_seconds())
    stream = _Stream(connected, deadline)
    try:
        connected.settimeout(deadline.remaining_seconds())
        connected.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        # byte by byte: what follows the answer belongs to the tunnel
        while not answer.endswith(b"\r\n\r\n"):
            byte = stream.read(1)
            answer += byte
            if not byte or len(answer) > _LONGEST_PROXY_ANSWER_BYTES:
                raise ConnectionError("no answer of a proxy")
        status = answer.split(b"\r\n", 1)[0].split(b" ")
        if len(status) < 2 or not status[1].startswith(b"2"):
            raise Unreachable("The egress proxy does not let us call it.", code="proxy_refused")
    except BaseException:
        connected.close()
        raise
    return connected
