"""Records in Redis that change together, each from the version it was read at, or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar

import redis

from shared.errors import Unavailable
from shared.redis.client import translate_redis_errors

translate_errors = partial(translate_redis_errors, "The job store does not answer; try again later.")
"""Around whatever asks for jobs or batches."""

# One round trip, one decision. A record that is not there has the version ''.
_APPLY = """
for number, key in ipairs(KEYS) do
  if (redis.call('HGET', key, 'version') or '') ~= ARGV[number + 1] then return 0 end
end
for _, command in ipairs(cjson.decode(ARGV[1])) do redis.call(unpack(command)) end
return 1
"""
_TRIES = 50


class Versioned(Protocol):
    """A record of ours: frozen, and numbered by its changes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def version(self) -> int:
        """Raised by every change."""


Record = TypeVar("Record")
Numbered = TypeVar("Numbered", bound=Versioned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Commands with full key names, and what must still be so when they are run."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Of records, by their keys; an empty one: the record is not there."""
    commands: Sequence[Sequence[Any]] = ()

    def merge(self, other: "Change") -> "Change":
        """Both, or none of them."""
        return Change(
            versions={**self.versions, **other.versions}, commands=[*self.commands, *other.commands]
        )


class ChangeApplier:
    """Applies changes."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        translate_errors: Callable[[], AbstractContextManager[None]] = translate_errors,
    ) -> None:
        self._apply = client.register_script(_APPLY)
        self._translated = translate_errors

    def apply(self, change: Change) -> bool:
        """Whether everything was still so, and is changed now. Raises Unavailable."""
        with self._translated():
            return bool(
                self._apply(
                    keys=list(change.versions), args=[json.dumps(change.commands), *change.versions.values()]
                )
            )


def retry_until_written(what: str, write: Callable[[], Record | None]) -> Record:
    """Call *write*, which reads, decides and writes, until it is not None: nobody was faster.

    Raises Unavailable, in a sentence about *what* it is that changes.
    """
    for _ in range(_TRIES):
        written = write()
        if written is not None:
            return written
    raise Unavailable(f"{what} too fast; try again.")


def next_version(old: Numbered, new: Numbered) -> Numbered:
    """The new record with its number, or the old one if nothing has changed."""
    return old if new == old else replace(new, version=old.version + 1)
