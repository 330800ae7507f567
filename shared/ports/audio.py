"""Everything we need from outside for jobs, on one page. Adapters and fakes are named after the technology.

Every method may raise Unavailable; callers do not retry at once but hand the work back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class PartWriter(Protocol):
    """One object being written in parts."""

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        """Send one part, from any thread, in any order. All but the last hold `AudioStore.part_bytes`."""


class AudioUpload(PartWriter, Protocol):
    """One object being written in one request. Nothing is visible under its key before `finish`."""

    def finish(self) -> None:
        """Make the object visible: the parts in the order of their numbers, from 1."""

    def abort(self) -> None:
        """Leave nothing behind. May be called twice, and after a failed `finish`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAudio:
    """One object, or one unfinished upload, in storage."""

    key: str
    modified_at: float
    """UNIX seconds of its last change."""
    multipart: str | None = None
    """The store's name for an unfinished upload; None: a whole object."""


class AudioStore(Protocol):
    """Where audio lies until its job is done. Keys are job ids."""

    part_bytes: int

    def put(self, key: str, data: bytes | bytearray, *, media_type: str) -> None:
        """Write a small object at once."""

    def start_upload(self, key: str, *, media_type: str) -> AudioUpload:
        """Start writing an object in parts. Touches storage at the first `write` at the earliest."""

    def open(self, key: str) -> BinaryIO:
        """A seekable file over ranged reads. Raises AudioMissing."""

    def delete(self, key: str) -> None:
        """Remove the object, whether it is there or not."""

    def list_older_than(self, *, before: float) -> Iterable[StoredAudio]:
        """Objects and unfinished uploads last changed before a time, for the rescuer to judge."""

    def discard(self, stored: StoredAudio) -> None:
        """Remove one of the `leftovers`."""

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedRequest:
    """One request that anybody may send, as it is, until it expires. Its size is part of the signature."""

    method: str
    url: str
    headers: dict[str, str]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedForm:
    """The same as a form: the fields, then the file as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUpload:
    """How a client brings an object into the store by itself."""

    requests: tuple[PresignedRequest, ...]
    """One, or one for each part."""
    form: PresignedForm | None = None
    """For an object that comes in one piece."""
    multipart: str | None = None
    """The store's name for an object that comes in parts."""


class PresignedUploadStore(Protocol):
    """Uploads that never pass through us. Keys are job ids."""

    def presign(self, key: str, *, size_bytes: int, media_type: str, expires_seconds: int) -> PresignedUpload:
        """Let the holder of the answer write exactly this object, for so long."""


class PartStore(Protocol):
    """Objects that come in numbered parts over several requests. Keys are job ids."""

    def start(self, key: str, *, media_type: str) -> str:
        """The store's name for a new object in parts."""

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        """Send one part; the same one again does no harm. All but the last hold `AudioStore.part_bytes`."""

    def part_sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        """Bytes of part 1, 2, and so on, up to the first that is missing. Raises AudioMissing."""

    def complete(self, key: str, *, multipart: str, size_bytes: int) -> None:
        """Make one object of the parts, unless it is one. Raises Conflict where bytes are missing."""

    def abort(self, key: str, *, multipart: str) -> None:
        """Leave no part behind, whether there is one or not."""
