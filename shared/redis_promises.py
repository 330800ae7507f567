"""What our promises need of the Redis server's own settings."""

import redis
from redis.exceptions import RedisError

from shared.errors import Unavailable


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
