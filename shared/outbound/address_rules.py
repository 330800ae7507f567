"""Which URLs and IP addresses may be requested. Pure: names are resolved elsewhere.

The same rules hold for webhooks and for source URLs. Whatever is not clearly public is refused, so that no
caller can reach this machine, its network, or the cloud's metadata service (SSRF).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

import idna

from shared.errors import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = frozenset({80, 443, 8080, 8443})
"""The ports of public servers. Allowed networks may use any port."""
MAX_URL_LENGTH = 2048

NOT_PUBLIC = "The host has no public IP address."
"""The same message for unknown and for private names, so that it does not reveal internal names."""

# IANA's registries of special addresses, and IPv6 forms that contain IPv4 addresses. Written out, because
# `is_global` differs between patch releases of Python.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's WireServer, on a public-looking address
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
# Outside: loopback, v4-mapped, NAT64, unique-local, link-local, SRv6 and multicast.
_IPV6_UNICAST = ip_network("2000::/3")
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}

_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<path>[^#]*)(?P<fragment>#.*)?", re.I | re.S
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUrl:
    """A valid URL whose host has not been resolved yet."""

    scheme: str
    host: str
    """Lower-case ASCII; an IPv6 address without its brackets."""
    port: int
    path: str
    """Path and query, percent-encoded."""

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The IP address, if the host is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRules:
    """The operator's rules."""

    networks: tuple[Network, ...] = ()
    """Private networks that are allowed, on any port."""

    def parse(self, url: str, *, allow_http: bool = False) -> TargetUrl:
        """Parse a URL strictly: what two parsers could read differently is refused.

        Raises:
            AddressRefused: the URL is not allowed. The message says what to change.
        """
        target = _parse(url)
        if target.scheme == "http" and not allow_http:
            raise AddressRefused("The URL must use https.")
        literal = target.literal
        if literal is not None:
            self.check_addresses([literal], port=target.port)
        elif not self.networks and target.port not in PORTS:
            raise AddressRefused(_WRONG_PORT)
        return target

    def check_addresses(self, addresses: Iterable[Address], *, port: int) -> tuple[Address, ...]:
        """Return the addresses if all of them are allowed. Raises AddressRefused."""
        checked = tuple(addresses)
        if not checked or not all(self.is_allowed(address) or is_public(address) for address in checked):
            raise AddressRefused(NOT_PUBLIC)
        if port not in PORTS and not all(self.is_allowed(address) for address in checked):
            raise AddressRefused(_WRONG_PORT)
        return checked

    def is_allowed(self, address: Address) -> bool:
        """Whether its network is on the operator's list."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response. Redirects are returned, not followed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of repeated headers the last."""
    body: bytes
    """The first bytes, up to the limit, without decoding any Content-Encoding."""
    is_internal: bool
    """Whether an allowed private network responded. Then only the operator may see the response."""


def is_public(address: Address) -> bool:
    """Whether it is a public unicast address."""
    if isinstance(address, IPv6Address) and (
        address not in _IPV6_UNICAST or address.scope_id or int(address) >> 32 & 0xFFFF_FFFF in _ISATAP
    ):
        return False
    return not any(address in network for network in _SPECIAL)


def parse_networks(text: str) -> tuple[Network, ...]:
    """`127.0.0.0/8,10.1.0.0/16`. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


_WRONG_PORT = f"The port must be one of {', '.join(str(port) for port in sorted(PORTS))}."


def _parse(url: str) -> TargetUrl:
    if len(url) > MAX_URL_LENGTH:
        raise AddressRefused(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefused("The URL contains a space, a backslash or a control character.")
    found = _URL.fullmatch(url)
    if found is None or found["scheme"].lower() not in {"http", "https"}:
        raise AddressRefused("The URL must begin with https://.")
    if "@" in found["authority"]:
        raise AddressRefused("The URL must not contain a user name or a password.")
    if found["fragment"] is not None:
        raise AddressRefused("The URL must not have a fragment (#…).")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise AddressRefused("The host and port are invalid.")
    scheme = found["scheme"].lower()
    port = int(authority["port"]) if authority["port"] else {"http": 80, "https": 443}[scheme]
    if not 0 < port < 65536:
        raise AddressRefused(_WRONG_PORT)
    path = quote(found["path"], safe="/?:@!$&'()*+,;=%-._~[]")
    if not path.startswith("/"):
        path = "/" + path
    return TargetUrl(scheme=scheme, host=_host(authority["host"]), port=port, path=path)


def _host(raw: str) -> str:
    if raw.startswith("["):
        try:
            return str(IPv6Address(raw[1:-1]))
        except ValueError:
            raise AddressRefused("The IPv6 address is invalid.") from None
    try:
        host = idna.encode(raw, uts46=True).decode() if not raw.isascii() else raw
    except (idna.IDNAError, UnicodeError):
        raise AddressRefused("The host name is invalid.") from None
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host name is invalid.")
    if _NUMBER.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to some resolvers and something else to others
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise AddressRefused("Write the IPv4 address as four decimal numbers.") from None
    return host
