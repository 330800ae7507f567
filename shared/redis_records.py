"""Records in Redis that change together, each from the version it was read at, or not at all."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import RedisError

from shared.errors import Unavailable

# One round trip, one decision. A record that is not there has the version ''.
_APPLY = """
for number, key in ipairs(KEYS) do
  if (redis.call('HGET', key, 'version') or '') ~= ARGV[number + 1] then return 0 end
end
for _, command in ipairs(cjson.decode(ARGV[1])) do redis.call(unpack(command)) end
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Commands with full key names, and what must still be so when they are run."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Of records, by their keys; an empty one: the record is not there."""
    commands: Sequence[Sequence[Any]] = ()

    def beside(self, other: "Change") -> "Change":
        """Both, or none of them."""
        return Change(
            versions={**self.versions, **other.versions}, commands=[*self.commands, *other.commands]
        )


class Records:
    """Applies changes."""

    def __init__(self, client: "redis.Redis") -> None:
        self._apply = client.register_script(_APPLY)

    def apply(self, change: Change) -> bool:
        """Whether everything was still so, and is changed now. Raises Unavailable."""
        with translated():
            return bool(
                self._apply(
                    keys=list(change.versions), args=[json.dumps(change.commands), *change.versions.values()]
                )
            )


@contextmanager
def translated() -> Iterator[None]:
    """What the server's silence means to others."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("The job store does not answer; try again later.") from error
