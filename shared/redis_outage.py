"""What a Redis that does not answer, or not as it should, means to us: Unavailable, and what it was for."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from shared.errors import Unavailable


@contextmanager
def outage(sentence: str) -> Iterator[None]:
    """Raises Unavailable, which says this *sentence* to the client."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(sentence) from error
