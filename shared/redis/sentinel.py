"""Parses sentinel:// URLs, which neither redis-py nor kombu reads in full.

sentinel://[:PASSWORD@]HOST:PORT[,HOST:PORT…]/DB?master=NAME
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_DEFAULT_PORT = 26379


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelUrl:
    """The parts of a sentinel:// URL."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    db: int
    password: str | None

    @property
    def broker_url(self) -> str:
        """The same in kombu's notation: one URL for each Sentinel."""
        secret = f":{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{secret}{host}:{port}/{self.db}" for host, port in self.sentinels)


def parse_sentinel_url(url: str) -> SentinelUrl | None:
    """Parse a sentinel:// URL; None for any other scheme. Raises ValueError with a sentence."""
    scheme, _, rest = url.partition("://")
    if scheme != "sentinel":
        return None
    secret, _, hosts = rest.rpartition("@")
    parts = urlsplit(f"//{hosts}")
    master = parse_qs(parts.query).get("master", [""])[0]
    if not master or not parts.netloc:
        raise ValueError("a sentinel:// URL looks like sentinel://HOST:26379,HOST:26379/0?master=NAME")
    sentinels = []
    for entry in parts.netloc.split(","):
        host, _, port = entry.partition(":")
        sentinels.append((host, int(port or _DEFAULT_PORT)))
    return SentinelUrl(
        sentinels=tuple(sentinels),
        master=master,
        db=int(parts.path.strip("/") or 0),
        password=unquote(secret.removeprefix(":")) or None,
    )
