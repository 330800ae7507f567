"""Connects to a checked IP address, with one deadline for everything.

A name is resolved once, all its addresses are checked, and one of exactly these is connected to. A name that
changes between the check and the connection therefore changes nothing. Proxy variables of the environment are
ignored.
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
"""From a host and a port to all IP addresses. Raises OSError."""

_MAX_ADDRESSES_TRIED = 4
_CONNECT_SECONDS = 5.0
_TICK_SECONDS = 0.25
_MAX_PROXY_RESPONSE_BYTES = 8 * 1024


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Resolve with the operating system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of a request, on the monotonic clock."""

    at: float
    on_wait: Callable[[], None] | None = None
    """Called several times a second while waiting; an exception from it ends the wait."""

    @classmethod
    def in_seconds(cls, seconds: float, *, on_wait: Callable[[], None] | None = None) -> "Deadline":
        """A deadline so many seconds from now."""
        return cls(time.monotonic() + seconds, on_wait)

    def within(self, seconds: float) -> "Deadline":
        """This deadline, or an earlier one."""
        return Deadline(min(self.at, time.monotonic() + seconds), self.on_wait)

    def next_wait_seconds(self) -> float:
        """How long to wait: until the deadline, or the next tick.

        Raises Unreachable, and what *on_wait* raises.
        """
        if self.on_wait is None:
            return self.remaining_seconds()
        self.on_wait()
        return min(self.remaining_seconds(), _TICK_SECONDS)

    def remaining_seconds(self) -> float:
        """Seconds until the deadline, more than 0. Raises Unreachable when it has passed."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise Unreachable("The server did not respond in time.", code="timeout")
        return left


def check_host(host: str, port: int, *, rules: OutboundRules, resolver: Resolver) -> tuple[Address, ...]:
    """Resolve a host; return its addresses if all are allowed. Raises AddressRefused."""
    return _check_addresses(_ask(host, port, resolver), port=port, rules=rules)


def resolve(
    host: str, port: int, *, rules: OutboundRules, resolver: Resolver, deadline: Deadline
) -> tuple[Address, ...]:
    """Like `check_host`, with a deadline. Raises also Unreachable."""
    found: list[Sequence[str]] = []

    def ask() -> None:
        found.append(_ask(host, port, resolver))

    # getaddrinfo has no timeout; its thread ends by itself, later
    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(deadline.next_wait_seconds())
    except Unreachable:
        pass  # reported below
    if not found:
        raise Unreachable("The host name was not resolved in time.", code="timeout")
    return _check_addresses(found[0], port=port, rules=rules)


def _ask(host: str, port: int, resolver: Resolver) -> Sequence[str]:
    try:
        return resolver(host, port)
    except (OSError, UnicodeError):
        return []


def _check_addresses(found: Sequence[str], *, port: int, rules: OutboundRules) -> tuple[Address, ...]:
    try:
        addresses = [ip_address(text) for text in found]
    except ValueError:
        raise AddressRefused(NOT_PUBLIC) from None
    return rules.check_addresses(addresses, port=port)


class CheckedNetworkBackend(httpcore2.NetworkBackend):
    """The network of one request. `address` is the address it connected to."""

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
        """Connect to the first checked address that accepts."""
        addresses = resolve(host, port, rules=self._rules, resolver=self._resolver, deadline=self._deadline)
        failure: OSError | None = None
        for address in addresses[:_MAX_ADDRESSES_TRIED]:
            try:
                connected = self._connect(address, port)
            except OSError as error:
                failure = error
            else:
                self.address = address
                return _Stream(connected, self._deadline)
        self._deadline.remaining_seconds()
        if isinstance(failure, TimeoutError):
            raise Unreachable("The connection timed out.", code="timeout")
        raise Unreachable("The connection failed.", code="connect_failed")

    def _connect(self, address: Address, port: int) -> socket.socket:
        if self._proxy is None:
            return _connected(address, port, self._deadline.within(_CONNECT_SECONDS))
        return _through(self._proxy, address, port, self._deadline)


class _Stream(httpcore2.NetworkStream):
    """A socket with the deadline of the request. The caller's timeouts are ignored."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            self._socket.settimeout(self._deadline.next_wait_seconds())
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                continue  # the deadline decides whether to wait again
            except OSError as error:
                raise _failure(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._socket.settimeout(self._deadline.remaining_seconds())
        try:
            self._socket.sendall(buffer)
        except TimeoutError as error:
            raise _failure(error) from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error  # the response may be here already

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
            continue  # the handshake continues where it stopped


def _connected(address: Address, port: int, deadline: Deadline) -> socket.socket:
    """Connect. Raises OSError, also TimeoutError, and what the deadline's *on_wait* raises."""
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
        return Unreachable("The server did not respond in time.", code="timeout")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(f"The TLS certificate is invalid: {error.verify_message}.", code="tls_failed")
    if isinstance(error, ssl.SSLError):
        return Unreachable("The TLS handshake failed.", code="tls_failed")
    return Unreachable("The connection was closed early.", code="broken_off")


def _through(proxy: str, address: Address, port: int, deadline: Deadline) -> socket.socket:
    """Open a tunnel to the checked address. The proxy gets no name, which it could resolve differently."""
    proxy_url = urlsplit(proxy)
    host = f"[{address}]" if address.version == 6 else str(address)
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if proxy_url.username is not None:
        pair = f"{unquote(proxy_url.username)}:{unquote(proxy_url.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    connected = socket.create_connection(
        (proxy_url.hostname or "", proxy_url.port or 3128), deadline.remaining_seconds()
    )
    stream = _Stream(connected, deadline)
    try:
        connected.settimeout(deadline.remaining_seconds())
        connected.sendall("\r\n".join([*lines, "", ""]).encode())
        response = b""
        # byte by byte: what follows the response belongs to the tunnel
        while not response.endswith(b"\r\n\r\n"):
            byte = stream.read(1)
            response += byte
            if not byte or len(response) > _MAX_PROXY_RESPONSE_BYTES:
                raise ConnectionError("invalid response of the proxy")
        status = response.split(b"\r\n", 1)[0].split(b" ")
        if len(status) < 2 or not status[1].startswith(b"2"):
            raise Unreachable("The egress proxy refused the connection.", code="proxy_refused")
    except BaseException:
        connected.close()
        raise
    return connected
