"""One HTTP request to somebody else's server: bounded in time and in bytes, and never redirected.

The only file that sends HTTP to addresses given by others. For webhooks and for source addresses.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpcore2

from shared.errors import Unreachable
from shared.outbound.address_rules import HttpResponse, OutboundRules, TargetUrl
from shared.outbound.network import CheckedNetworkBackend, Deadline, Resolver, resolve, system_resolver

__all__ = ["HttpResponse", "OutboundClient", "ResponseStream"]

_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStream:
    """An answer whose body is still on its way."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    """At most as many bytes as asked for, then the end. Raises Unreachable."""
    is_internal: bool


class OutboundClient:
    """Calls other people's servers. Safe to share between threads; keeps no connection."""

    def __init__(
        self,
        *,
        rules: OutboundRules,
        proxy: str | None = None,
        resolver: Resolver = system_resolver,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`proxy`: http://[user:password@]host:port, which tunnels to the judged address."""
        self._rules = rules
        self._proxy = proxy
        self._resolver = resolver
        self._trust = trust or ssl.create_default_context()

    def check(self, url: str, *, allow_http: bool = False) -> TargetUrl:
        """The address, if it may be called as things are now. Raises AddressRefused, Unreachable."""
        target = self._rules.parse(url, allow_http=allow_http)
        resolve(
            target.host,
            target.port,
            rules=self._rules,
            resolver=self._resolver,
            deadline=Deadline.in_seconds(_CHECK_SECONDS),
        )
        return target

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout_seconds: float,
        max_bytes: int,
        allow_http: bool = False,
    ) -> HttpResponse:
        """Send one request and read the answer's beginning.

        Raises:
            AddressRefused: the address is none that we call.
            Unreachable: no whole answer came before the deadline.
        """
        with self.stream(
            method,
            url,
            headers=headers,
            content=content,
            timeout_seconds=timeout_seconds,
            max_bytes=max_bytes,
            allow_http=allow_http,
        ) as incoming:
            return HttpResponse(
                status=incoming.status,
                headers=incoming.headers,
                body=b"".join(incoming.chunks),
                is_internal=incoming.is_internal,
            )

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout_seconds: float,
        max_bytes: int,
        allow_http: bool = False,
        on_wait: Callable[[], None] | None = None,
    ) -> Iterator[ResponseStream]:
        """Like `send`, with the body in chunks. The deadline holds from the name to the last byte.

        *pulse* is called several times a second while we wait; what it raises ends the request.
        """
        target = self._rules.parse(url, allow_http=allow_http)
        dialer = CheckedNetworkBackend(
            rules=self._rules,
            resolver=self._resolver,
            proxy=self._proxy,
            deadline=Deadline.in_seconds(timeout_seconds, on_wait=on_wait),
        )
        address = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        sent = {"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"}
        if content or method != "GET":
            sent["Content-Length"] = str(len(content))
        request = httpcore2.Request(
            method, address, headers=list({**sent, **headers}.items()), content=content
        )
        connection = httpcore2.HTTPConnection(address.origin, ssl_context=self._trust, network_backend=dialer)
        with closing(connection), _translated():
            response = connection.handle_request(request)
            with closing(response):
                yield ResponseStream(
                    status=response.status,
                    headers={
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    },
                    chunks=_first(max_bytes, response),
                    is_internal=dialer.address is not None and self._rules.is_allowed(dialer.address),
                )


def _first(max_bytes: int, response: httpcore2.Response) -> Iterator[bytes]:
    left = max_bytes
    with _translated():
        for chunk in response.iter_stream():
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpcore2.ProtocolError, httpcore2.NetworkError) as error:
        raise Unreachable("What it answered is no HTTP.", code="bad_answer") from error
