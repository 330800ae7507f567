"""Connects to Redis or Valkey, and translates its failures.

redis://[:PASSWORD@]HOST:PORT/DB   one server
rediss://…                         the same over TLS
sentinel://…, sentinels://…        the master that the Sentinels name: shared/redis/sentinel.py
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.client import NEVER_DECODE, Pipeline
from redis.exceptions import MasterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.sentinel import Sentinel

from shared.errors import Unavailable, UnsupportedServer
from shared.redis.sentinel import parse_sentinel_url

UNAVAILABLE = (
    redis.ConnectionError,  # includes BusyLoadingError and authentication failures
    redis.TimeoutError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,  # a replica, until the failover is over
    OSError,
)
"""What the server or the network is to blame for. Any other RedisError is a bug of ours."""

_UNAVAILABLE_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "UNBLOCKED", "OOM", "LOADING", "READONLY")
_REFUSED_BY_STATE = re.compile(rf"(?:^|-|caused error: )(?:{'|'.join(_UNAVAILABLE_CODES)})\b")
"""A ResponseError that redis-py has no class for, or that a script (`-OOM …`) or a pipeline has wrapped."""

KEEPALIVE_OPTIONS: dict[int, int] = {
    option: value
    for name, value in (
        ("TCP_KEEPIDLE", 5),  # seconds of silence before the first probe
        ("TCP_KEEPINTVL", 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 15_000),  # milliseconds that sent data may stay unacknowledged
    )
    if (option := getattr(socket, name, None)) is not None  # not every system has all of them
}
"""Notice a half-open connection within 15 seconds."""

OnError = Callable[[], None]


def connect_redis(url: str, *, timeout_seconds: float = 5, on_error: OnError = lambda: None) -> "redis.Redis":
    """Create a client that threads can share. *on_error* is called for every failed command."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE_OPTIONS,
        "health_check_interval": 15,
    }
    client: _Client
    address = parse_sentinel_url(url)
    if address is None:
        client = _Client.from_url(url, **options)  # type: ignore[assignment]  # typed as its parent
    else:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(address.sentinels),
            sentinel_kwargs={"socket_timeout": timeout_seconds, **address.sentinel_options},
            db=address.db,
            username=address.username,
            password=address.password,
            **({"ssl": True, **address.tls} if address.tls else {}),
            **options,
        )
        client = sentinel.master_for(address.master, redis_class=_Client)  # type: ignore[no-untyped-call]
    client.on_error = on_error
    return client


@contextmanager
def translate_redis_errors(message: str) -> Iterator[None]:
    """Raise Unavailable with this message if Redis can't answer. Our own errors stay as they are."""
    try:
        yield
    except redis.ResponseError as error:
        if not isinstance(error, UNAVAILABLE) and not is_unavailable(error):
            raise
        raise Unavailable(message) from error
    except UNAVAILABLE as error:
        raise Unavailable(message) from error


def check_supported(*clients: "redis.Redis") -> None:
    """Raise UnsupportedServer if a server is a Redis Cluster: scripts and the broker need one key space.

    Raises Unavailable.
    """
    for client in clients:
        try:
            with translate_redis_errors("Redis is unavailable. Try again in a few seconds."):
                found: Any = client.info("cluster")
        except redis.ResponseError:
            continue  # a server that keeps this to itself
        if int(found.get("cluster_enabled", 0)):
            raise UnsupportedServer(
                "Redis Cluster is not supported. Use a single server, or Sentinel for failover."
            )


def is_unavailable(error: redis.ResponseError) -> bool:
    """Whether the server refused a command because of its own state."""
    return _REFUSED_BY_STATE.search(str(error)) is not None


def check_durability(client: "redis.Redis") -> list[str]:
    """List the server's settings under which accepted jobs could be lost, as sentences.

    Raises Unavailable.
    """
    try:
        with translate_redis_errors("Redis is unavailable. Try again in a few seconds."):
            settings: dict[str, str] = client.config_get("appendonly", "appendfsync", "maxmemory-policy")  # type: ignore[assignment]
    except redis.ResponseError:
        return []  # hosted servers refuse CONFIG
    sentences = []
    if settings.get("appendonly") != "yes":
        sentences.append("appendonly is off: a restart of Redis loses all jobs. Set it to yes.")
    elif settings.get("appendfsync") == "no":
        sentences.append("appendfsync is no: a crash may lose accepted jobs. Set it to always or everysec.")
    if settings.get("maxmemory-policy", "noeviction") != "noeviction":
        sentences.append("maxmemory-policy evicts keys: full memory loses jobs. Set it to noeviction.")
    return sentences


def read_bytes(client: "redis.Redis", name: str, *fields: str) -> list[bytes | None]:
    """The fields of a hash in bytes. A client that `connect_redis` has created decodes everything else."""
    found: list[bytes | None] = client.execute_command(  # type: ignore[no-untyped-call]  # redis-py's own
        "HMGET", name, *fields, **{NEVER_DECODE: True}
    )
    return found


class _Client(redis.Redis):
    on_error: OnError = staticmethod(lambda: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with _reporting(self.on_error):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's own

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        pipe = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.on_error = self.on_error
        return pipe


class _Pipeline(Pipeline):
    on_error: OnError = staticmethod(lambda: None)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _reporting(self.on_error):
            return super().execute(raise_on_error)


@contextmanager
def _reporting(on_error: OnError) -> Iterator[None]:
    try:
        yield
    except NoScriptError:  # the server does not have the script yet; redis-py sends it
        raise
    except (RedisError, OSError):
        on_error()
        raise
