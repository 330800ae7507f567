"""What uploads need from outside: who sends now, who asked before, what was heard before, parts, and uploads
that may pause.

Every method may raise Unavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInfo:
    """One upload on its way in."""

    id: str
    """Of the job that it becomes, which is also its key in storage."""
    started_at: float
    seen_at: float
    received_bytes: int = 0
    declared_bytes: int | None = None
    owner: str | None = None
    filename: str | None = None


class UploadRegistry(Protocol):
    """Which unfinished uploads have somebody at work on them: what storage holds besides is orphaned."""

    def heartbeat(self, uploads: Sequence[UploadInfo]) -> None:
        """Say that uploads are alive; forgotten half a minute after the last call."""

    def deregister(self, upload_id: str) -> None:
        """Say that an upload has ended, well or badly. After its job is recorded, never before."""

    def list_alive(self) -> tuple[UploadInfo, ...]:
        """Uploads that were heard of lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """What a creating request was answered."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """One Idempotency-Key of one caller, and what became of it."""

    request_fingerprint: str
    """Fingerprint of what is known of the request before its body has come."""
    resource_id: str
    """Id of what the request creates: a second try after a crash creates the same."""
    lock_owner: str
    """The request that is at work on it."""
    locked_until: float
    """When the holder counts as dead."""
    body_fingerprint: str | None = None
    """Fingerprint of the whole request, once answered."""
    response: StoredResponse | None = None


class IdempotencyStore(Protocol):
    """Every Idempotency-Key for a day."""

    def claim(self, key: str, requested: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        """The claim that stands: the wanted one, or one that was there before.

        One without an answer, of the same head, whose holder is dead goes over to the wanted holder.
        """

    def renew(self, key: str, *, lock_owner: str, locked_until: float) -> None:
        """The holder lives."""

    def complete(self, key: str, *, lock_owner: str, body_fingerprint: str, response: StoredResponse) -> None:
        """The holder has answered."""

    def release(self, key: str, *, lock_owner: str) -> None:
        """The holder has created nothing: forget its claim."""


class ReportIndex(Protocol):
    """What earlier analyses have found; see shared/recall.py for the names. Written with their jobs."""

    def find(self, key: str, *, now: float) -> Report | None:
        """What the newest analysis under this name has found; None where its job is gone or has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """The end of what has arrived of a resumable upload, too short for a part: an object of its own."""

    key: str
    after_parts: int
    """It follows so many parts; once there are more, it is part of them."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TusUpload:
    """What a resumable upload needs to go on, beside its parts and its job."""

    id: str
    metadata: str
    """As the client gave it."""
    lock_owner: str
    """The request that writes; an earlier one that still believes it does has lost."""
    remainder: Remainder | None = None


class TusUploadStore(Protocol):
    """Resumable uploads until they are whole."""

    def add(self, upload: TusUpload) -> None:
        """Remember a new one; forgotten some days after the last call for it."""

    def get(self, upload_id: str) -> TusUpload:
        """Raises NotFound."""

    def acquire(self, upload_id: str, *, lock_owner: str) -> TusUpload:
        """Make a request the only one that writes. Raises NotFound."""

    def save_remainder(self, upload_id: str, *, lock_owner: str, remainder: Remainder | None) -> bool:
        """Remember a new tail; False where somebody else has taken the upload."""

    def remove(self, upload_id: str) -> None:
        """Forget one, whether it is there or not."""
