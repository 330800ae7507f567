"""HTTP requests to URLs from clients: limited in time and in bytes, without redirects.

Webhooks and source URLs both use it. No other file sends requests to such URLs.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import httpcore2

from shared.errors import Unreachable
from shared.outbound.address_rules import HttpResponse, OutboundRules, TargetUrl
from shared.outbound.network import CheckedNetworkBackend, Deadline, Resolver, check_host, system_resolver

__all__ = ["HttpResponse", "OutboundClient", "ResponseStream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStream:
    """A response whose body is still being received."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    """Ends after the byte limit. Raises Unreachable."""
    is_internal: bool


class OutboundClient:
    """Sends HTTP requests. Threads can share it; it keeps no connections."""

    def __init__(
        self,
        *,
        rules: OutboundRules,
        proxy: str | None = None,
        resolver: Resolver = system_resolver,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """*proxy*: http://[user:password@]host:port, which tunnels to the checked address."""
        self._rules = rules
        self._proxy = proxy
        self._resolver = resolver
        self._trust = trust or ssl.create_default_context()

    def check(self, url: str, *, allow_http: bool = False) -> TargetUrl:
        """Resolve the host now, and return the URL if it is allowed. Raises AddressRefused.

        It blocks as long as the resolver does, which has no timeout.
        """
        target = self._rules.parse(url, allow_http=allow_http)
        check_host(target.host, target.port, rules=self._rules, resolver=self._resolver)
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
        """Send one request and read the first bytes of the response.

        Raises:
            AddressRefused: the URL is not allowed.
            Unreachable: no response came before the deadline. Once its status has arrived, a body that breaks
                off or stalls is cut short.
        """
        with self.stream(
            method,
            url,
            headers=headers,
            content=content,
            timeout_seconds=timeout_seconds,
            max_bytes=max_bytes,
            allow_http=allow_http,
        ) as response:
            body = bytearray()
            with suppress(Unreachable):
                for chunk in response.chunks:
                    body += chunk
            return HttpResponse(
                status=response.status,
                headers=response.headers,
                body=bytes(body),
                is_internal=response.is_internal,
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
        """Like `send`, with the body in chunks. The deadline covers everything from DNS to the last byte.

        *pulse* is called several times a second while we wait; what it raises ends the request.
        """
        target = self._rules.parse(url, allow_http=allow_http)
        backend = CheckedNetworkBackend(
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
        connection = httpcore2.HTTPConnection(
            address.origin, ssl_context=self._trust, network_backend=backend
        )
        with closing(connection), _translate_errors():
            response = connection.handle_request(request)
            with closing(response):
                yield ResponseStream(
                    status=response.status,
                    headers={
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    },
                    chunks=_first(max_bytes, response),
                    is_internal=backend.address is not None and self._rules.is_allowed(backend.address),
                )


def _first(max_bytes: int, response: httpcore2.Response) -> Iterator[bytes]:
    remaining = max_bytes
    with _translate_errors():
        for chunk in response.iter_stream():
            yield chunk[:remaining]
            remaining -= len(chunk)
            if remaining <= 0:
                return


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (httpcore2.ProtocolError, httpcore2.NetworkError) as error:
        raise Unreachable("The server sent an invalid HTTP response.", code="bad_answer") from error
