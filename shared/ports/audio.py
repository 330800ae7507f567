"""Storage for audio. Every method may raise Unavailable."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class PartWriter(Protocol):
    """Writes the parts of one object."""

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        """Send one part, from any thread, in any order. All but the last hold `AudioStore.part_bytes`."""


class AudioUpload(PartWriter, Protocol):
    """One object that is written in parts. It does not exist under its key before `finish`."""

    def finish(self) -> None:
        """Create the object from the parts, in the order of their numbers from 1."""

    def abort(self) -> None:
        """Delete all parts. May be called twice, and after a failed `finish`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAudio:
    """One object, or one unfinished multipart upload."""

    key: str
    modified_at: float
    """UNIX seconds of its last change."""
    multipart: str | None = None
    """The store's id of a multipart upload; None: an object."""


class AudioStore(Protocol):
    """Audio until its job has ended. Keys are job ids."""

    part_bytes: int

    def put(self, key: str, data: bytes | bytearray, *, media_type: str) -> None:
        """Write a small object in one request."""

    def start_upload(self, key: str, *, media_type: str) -> AudioUpload:
        """Start writing an object in parts. The first `write` is the first request to storage."""

    def open(self, key: str) -> BinaryIO:
        """A seekable file over range requests. Raises AudioMissing."""

    def delete(self, key: str) -> None:
        """Delete the object if it exists."""

    def list_older_than(self, *, before: float) -> Iterable[StoredAudio]:
        """Objects and multipart uploads that were last changed before a time."""

    def discard(self, stored: StoredAudio) -> None:
        """Delete an entry of `list_older_than`."""

    def check(self) -> None:
        """Raise Unavailable unless the store answers."""

    def installation_id(self) -> str | None:
        """The id of the installation that the objects belong to; None before the first one is set."""

    def set_installation_id(self, installation_id: str) -> None:
        """Say which installation the objects belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedRequest:
    """A signed request that anyone may send unchanged until it expires. The signature covers its size."""

    method: str
    url: str
    headers: dict[str, str]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedForm:
    """The same as an HTML form: the fields, then the file as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUpload:
    """How a client uploads an object to storage directly."""

    requests: tuple[PresignedRequest, ...]
    """One, or one for each part."""
    form: PresignedForm | None = None
    """Only for an object in one part."""
    multipart: str | None = None
    """The store's id of the multipart upload, if there is one."""


class PresignedUploadStore(Protocol):
    """Uploads that bypass the API. Keys are job ids."""

    def check_address(self) -> None:
        """Raise NotConfigured if clients can't reach the store under the address that is signed."""

    def presign(self, key: str, *, size_bytes: int, media_type: str, expires_seconds: int) -> PresignedUpload:
        """Sign requests that upload exactly this object, valid for *expires_seconds*."""


class PartStore(Protocol):
    """Multipart uploads that span several requests. Keys are job ids."""

    def start(self, key: str, *, media_type: str) -> str:
        """Start a multipart upload; return the store's id of it."""

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        """Write one part; repeating one is harmless. All but the last have `AudioStore.part_bytes`."""

    def part_sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        """Sizes in bytes of the parts 1, 2, … up to the first missing one. Raises AudioMissing."""

    def complete(self, key: str, *, multipart: str, size_bytes: int) -> None:
        """Create the object from the parts, unless it exists. Raises Conflict if bytes are missing."""

    def abort(self, key: str, *, multipart: str) -> None:
        """Delete all parts, if there are any."""
