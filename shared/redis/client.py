"""Addresses of Redis or Valkey, alone or behind Sentinels.

redis://[:PASSWORD@]HOST:PORT/DB                            one server
rediss://…                                                  the same over TLS
sentinel://[:PASSWORD@]HOST:PORT[,HOST:PORT…]/DB?master=NAME   whichever server the Sentinels call master
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError, RedisError
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


OnError = Callable[[], None]


class _Client(redis.Redis):
    on_error: OnError = staticmethod(lambda: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with _reported(self.on_error):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's own

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        pipe = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.on_error = self.on_error
        return pipe


class _Pipeline(Pipeline):
    on_error: OnError = staticmethod(lambda: None)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _reported(self.on_error):
            return super().execute(raise_on_error)


def connect_redis(url: str, *, timeout_seconds: float = 5, on_error: OnError = lambda: None) -> "redis.Redis":
    """A client for our threads to share, of one server or of whichever the Sentinels call master."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    client: _Client
    address = parse_sentinel(url)
    if address is None:
        client = _Client.from_url(url, **options)  # type: ignore[assignment]  # typed as its parent
    else:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(address.sentinels),
            sentinel_kwargs={"socket_timeout": timeout_seconds},
            db=address.db,
            password=address.password,
            **options,
        )
        client = sentinel.master_for(address.master, redis_class=_Client)  # type: ignore[no-untyped-call]
    client.on_error = on_error
    return client


@contextmanager
def _reported(on_error: OnError) -> Iterator[None]:
    try:
        yield
    except NoScriptError:  # the server has not seen the script yet; the caller sends it
        raise
    except (RedisError, OSError):
        on_error()
        raise


@contextmanager
def translate_redis_errors(sentence: str) -> Iterator[None]:
    """Raises Unavailable, which says this *sentence* to the client."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(sentence) from error


def check_durability(client: "redis.Redis") -> list[str]:
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
