"""The Redis client of all our stores: gives up after seconds, and tells of calls that failed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.client import Pipeline
from redis.exceptions import NoScriptError, RedisError
from redis.sentinel import Sentinel

from shared.redis_address import parse_sentinel

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
