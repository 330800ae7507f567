"""Clients of Redis or Valkey, alone or behind Sentinels, and what our promises need of the server.

redis://[:PASSWORD@]HOST:PORT/DB                            one server
rediss://…                                                  the same over TLS
sentinel://[:PASSWORD@]HOST:PORT[,HOST:PORT…]/DB?master=NAME   whichever server the Sentinels call master
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from shared.errors import Unavailable

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


def connect_redis(url: str, *, timeout_seconds: float = 5) -> "redis.Redis":
    """A client that gives up after seconds, for our threads to share."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    address = parse_sentinel(url)
    if address is None:
        return redis.Redis.from_url(url, **options)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(address.sentinels),
        sentinel_kwargs={"socket_timeout": timeout_seconds},
        db=address.db,
        password=address.password,
        **options,
    )
    client: redis.Redis = sentinel.master_for(address.master)  # type: ignore[no-untyped-call]
    return client


def broken_promises(client: "redis.Redis") -> list[str]:
    """Sentences about settings of the server under which accepted jobs could be lost. Raises Unavailable."""
    try:
        settings: dict[str, str] = client.config_get("appendonly", "appendfsync", "maxmemory-policy")  # type: ignore[assignment]
    except redis.ResponseError:
        return []  # a hosted server that keeps its settings to itself
    except (RedisError, OSError) as error:
        raise Unavailable("Redis does not answer; try again later.") from error
    sentences = []
    if settings.get("appendonly") != "yes":
        sentences.append("appendonly is off: jobs are forgotten when Redis restarts. Set it to yes.")
    elif settings.get("appendfsync") == "no":
        sentences.append("appendfsync is no: a crash may undo accepted jobs. Set it to always or everysec.")
    if settings.get("maxmemory-policy", "noeviction") != "noeviction":
        sentences.append("maxmemory-policy evicts: full memory would drop jobs. Set it to noeviction.")
    return sentences
