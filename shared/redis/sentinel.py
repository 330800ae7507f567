"""Parses sentinel:// and sentinels:// URLs, which neither redis-py nor kombu reads in full.

sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/DB?master=NAME
sentinels://…                      the same over TLS, to Sentinels and servers

More options, separated by `&`: `sentinel_username` and `sentinel_password` for the Sentinels, and redis-py's
`ssl_*` options, for example `ssl_ca_certs=/etc/redis/ca.pem`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_DEFAULT_PORT = 26379
_TLS_SCHEMES = ("rediss", "sentinels")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelUrl:
    """The parts of such a URL."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int
    username: str | None
    password: str | None
    sentinel_login: Mapping[str, str]
    """`username` and `password` of the Sentinels, as far as they are given."""
    tls: Mapping[str, Any]
    """Empty, or options of a client that uses TLS."""

    @property
    def broker_url(self) -> str:
        """The same in kombu's notation: one URL for each Sentinel."""
        login = ""
        if self.username or self.password:
            login = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"
        hosts = [(f"[{host}]" if ":" in host else host, port) for host, port in self.sentinels]
        return ";".join(f"sentinel://{login}{host}:{port}/{self.db}" for host, port in hosts)

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """How to connect to the Sentinels themselves."""
        return {**self.sentinel_login, **({"ssl": True, **self.tls} if self.tls else {})}


def parse_sentinel_url(url: str) -> SentinelUrl | None:
    """Parse a URL of Sentinels; None for any other scheme. Raises ValueError with a sentence."""
    scheme, _, rest = url.partition("://")
    if scheme not in {"sentinel", "sentinels"}:
        return None
    login, _, place = rest.rpartition("@")
    address, _, query = place.partition("?")
    hosts, _, db = address.partition("/")
    options = dict(parse_qsl(query))
    if not options.get("master") or not hosts:
        raise ValueError("a sentinel:// URL looks like sentinel://HOST:26379,HOST:26379/0?master=NAME")
    entries = [urlsplit(f"//{entry}") for entry in hosts.split(",")]
    username, _, password = login.partition(":")
    return SentinelUrl(
        sentinels=tuple((entry.hostname or "", entry.port or _DEFAULT_PORT) for entry in entries),
        master=options["master"],
        db=int(db or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_login={
            name: options[f"sentinel_{name}"]
            for name in ("username", "password")
            if f"sentinel_{name}" in options
        },
        tls=tls_options(url),
    )


def tls_options(url: str) -> dict[str, Any]:
    """Options of a client that uses TLS, and checks the certificate unless the URL says otherwise.

    Empty for a URL without TLS.
    """
    if url.partition("://")[0] not in _TLS_SCHEMES:
        return {}
    given = dict(parse_qsl(url.partition("?")[2]))
    options: dict[str, Any] = {"ssl_cert_reqs": "required"}
    options |= {name: value for name, value in given.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in {"0", "false", "no"}
    return options
