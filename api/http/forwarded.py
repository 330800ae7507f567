"""Warn once about a proxy that sends X-Forwarded-For but is not trusted."""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.observability.logs import get_logger

_log = get_logger(__name__)


class UntrustedProxyWarning:
    """Middleware that logs the first X-Forwarded-For header of an address that is not trusted.

    Without KAMMERTON_TRUSTED_PROXIES, everybody behind a proxy shares the rate limits of one address.
    """

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str]) -> None:
        self._app = app
        self._warned = "*" in trusted
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted if _is_network(each)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if not self._warned and scope["type"] == "http" and "x-forwarded-for" in Headers(scope=scope):
            self._check(scope["client"][0] if scope.get("client") else "")
        await self._app(scope, receive, send)

    def _check(self, address: str) -> None:
        if _is_network(address) and any(ipaddress.ip_address(address) in each for each in self._trusted):
            return
        self._warned = True
        _log.warning("forwarded_for_ignored", address=address, setting="KAMMERTON_TRUSTED_PROXIES")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
