"""Addresses of Redis or Valkey, alone or behind Sentinels.

redis://[:PASSWORD@]HOST:PORT/DB                            one server
rediss://…                                                  the same over TLS
sentinel://[:PASSWORD@]HOST:PORT[,HOST:PORT…]/DB?master=NAME   whichever server the Sentinels call master
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelAddress:
    """What a sentinel:// address says."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int
    password: str | None

    @property
    def broker_url(self) -> str:
        """The same as kombu writes it."""
        secret = f":{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{secret}{host}:{port}/{self.db}" for host, port in self.sentinels)


def parse_sentinel(url: str) -> SentinelAddress | None:
    """The parts of a sentinel:// address; None for any other. Raises ValueError with a sentence."""
    scheme, _, rest = url.partition("://")
    if scheme != "sentinel":
        return None
    secret, _, hosts = rest.rpartition("@")
    parts = urlsplit(f"//{hosts}")
    master = parse_qs(parts.query).get("master", [""])[0]
    if not master or not parts.netloc:
        raise ValueError("a sentinel:// address looks like sentinel://HOST:26379,HOST:26379/0?master=NAME")
    sentinels = []
    for one in parts.netloc.split(","):
        host, _, port = one.partition(":")
        sentinels.append((host, int(port or _SENTINEL_PORT)))
    return SentinelAddress(
        sentinels=tuple(sentinels),
        master=master,
        db=int(parts.path.strip("/") or 0),
        password=unquote(secret.removeprefix(":")) or None,
    )
