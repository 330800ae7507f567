"""Changes several records in Redis at once, each from the version it was read at, or none of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar

import redis

from shared.errors import Unavailable
from shared.redis.client import translate_redis_errors

translate_errors = partial(
    translate_redis_errors, "The job store is unavailable. Try again in a few seconds."
)
"""For commands about jobs and batches."""

# One round trip decides and writes. A record that does not exist has the version ''. JSON can't hold bytes:
# they come after the versions, and the commands have their numbers, each in a list.
_APPLY = """
for number, key in ipairs(KEYS) do
  if (redis.call('HGET', key, 'version') or '') ~= ARGV[number + 1] then return 0 end
end
for _, command in ipairs(cjson.decode(ARGV[1])) do
  for place, argument in ipairs(command) do
    if type(argument) == 'table' then command[place] = ARGV[#KEYS + 1 + argument[1]] end
  end
  redis.call(unpack(command))
end
return 1
"""
_MAX_TRIES = 50


class Versioned(Protocol):
    """A frozen record with a number that every change raises."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def version(self) -> int:
        """Raised by every change."""


Record = TypeVar("Record")
VersionedRecord = TypeVar("VersionedRecord", bound=Versioned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Redis commands with full key names, of text and bytes, and the versions at which they may run."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """By key. An empty version: the record must not exist."""
    commands: Sequence[Sequence[Any]] = ()

    def merge(self, other: "Change") -> "Change":
        """Both changes, as one that happens or does not."""
        return Change(
            versions={**self.versions, **other.versions}, commands=[*self.commands, *other.commands]
        )


class ChangeApplier:
    """Applies changes with one script."""

    def __init__(
        self,
        client: "redis.Redis",
        *,
        translate_errors: Callable[[], AbstractContextManager[None]] = translate_errors,
    ) -> None:
        self._apply = client.register_script(_APPLY)
        self._translate_errors = translate_errors

    def apply(self, change: Change) -> bool:
        """Run the commands if every version still matches; return whether they ran. Raises Unavailable."""
        blobs: list[bytes] = []

        def number(blob: bytes) -> list[int]:
            blobs.append(blob)
            return [len(blobs)]

        commands = json.dumps(change.commands, default=number)
        with self._translate_errors():
            return bool(
                self._apply(keys=list(change.versions), args=[commands, *change.versions.values(), *blobs])
            )


def retry_until_written(subject: str, write: Callable[[], Record | None]) -> Record:
    """Call *write*, which reads, decides and writes, until it returns a record: no other writer was faster.

    Raises Unavailable after 50 tries, in a sentence about *subject*.
    """
    for _ in range(_MAX_TRIES):
        written = write()
        if written is not None:
            return written
    raise Unavailable(f"{subject} is being changed too often. Try again in a few seconds.")


def next_version(old: VersionedRecord, new: VersionedRecord) -> VersionedRecord:
    """The new record with its version raised, or the old one if they are equal."""
    return old if new == old else replace(new, version=old.version + 1)
