"""What uploads need: active uploads, Idempotency-Keys, cached reports, and tus uploads.

Every method may raise Unavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """An upload in progress."""

    id: str
    """The id of its job, which is also its key in storage."""
    started_at: float
    seen_at: float
    received_bytes: int = 0
    declared_bytes: int | None = None
    owner: str | None = None
    filename: str | None = None


class UploadRegistry(Protocol):
    """The unfinished uploads that a process is working on. Any other unfinished upload is orphaned."""

    def heartbeat(self, uploads: Sequence[UploadInfo]) -> None:
        """Record that uploads are alive, for half a minute."""

    def deregister(self, upload_id: str) -> None:
        """Remove an upload that has ended, well or badly. Call it after its job is recorded, never before."""

    def list_alive(self) -> tuple[UploadInfo, ...]:
        """Uploads with a recent heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """The response to a request that created something."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """One Idempotency-Key of one caller, and its response."""

    request_fingerprint: str
    """Of the request without its body."""
    resource_id: str
    """The id of what the request creates: a retry after a crash creates the same."""
    lock_owner: str
    """The request that works on it."""
    locked_until: float
    """When the lock owner counts as dead, UNIX seconds."""
    body_fingerprint: str | None = None
    """Of the whole request, once it is answered."""
    response: StoredResponse | None = None


class IdempotencyStore(Protocol):
    """Idempotency-Keys, kept for a day."""

    def claim(self, key: str, requested: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        """Claim a key; return the claim that counts, this one or an earlier one.

        An unanswered claim with the same fingerprint whose lock has expired gets the new lock owner.
        """

    def renew(self, key: str, *, lock_owner: str, locked_until: float) -> None:
        """Extend the lock."""

    def complete(self, key: str, *, lock_owner: str, body_fingerprint: str, response: StoredResponse) -> None:
        """Record the response."""

    def release(self, key: str, *, lock_owner: str) -> None:
        """Delete the claim: the request has created nothing."""


class ReportIndex(Protocol):
    """Reports of earlier analyses, by the keys of shared/domain/report_cache.py."""

    def find(self, key: str, *, now: float) -> Report | None:
        """The newest report under a key whose job has not expired; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """The end of an incomplete tus upload that is too short for a part: an object of its own."""

    key: str
    after_parts: int
    """How many parts come before it. Once there are more, they include it."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TusUpload:
    """The state of a tus upload, apart from its parts and its job."""

    id: str
    metadata: str
    """The Upload-Metadata header as the client sent it."""
    lock_owner: str
    """The request that may write. An earlier owner has lost the lock."""
    remainder: Remainder | None = None
    verified_parts: int | None = None
    """How many stored parts count; later ones failed their checksum. None: all count."""


class TusUploadStore(Protocol):
    """tus uploads until they are complete."""

    def add(self, upload: TusUpload) -> None:
        """Record a new upload. It is deleted some days after its last use."""

    def get(self, upload_id: str) -> TusUpload:
        """Raises NotFound."""

    def acquire(self, upload_id: str, *, lock_owner: str) -> TusUpload:
        """Make a request the lock owner. Raises NotFound."""

    def save_progress(
        self, upload_id: str, *, lock_owner: str, remainder: Remainder | None, verified_parts: int | None
    ) -> bool:
        """Record the remainder and how many parts count; False if another request owns the lock."""

    def remove(self, upload_id: str) -> None:
        """Delete an upload if it exists."""
