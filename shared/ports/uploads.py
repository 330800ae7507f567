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

    def beat(self, uploads: Sequence[UploadInfo]) -> None:
        """Say that uploads are alive; forgotten half a minute after the last call."""

    def leave(self, upload_id: str) -> None:
        """Say that an upload has ended, well or badly. After its job is recorded, never before."""

    def alive(self) -> tuple[UploadInfo, ...]:
        """Uploads that were heard of lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a creating request was answered."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyClaim:
    """One Idempotency-Key of one caller, and what became of it."""

    head: str
    """Fingerprint of what is known of the request before its body has come."""
    subject: str
    """Id of what the request creates: a second try after a crash creates the same."""
    holder: str
    """The request that is at work on it."""
    until: float
    """When the holder counts as dead."""
    whole: str | None = None
    """Fingerprint of the whole request, once answered."""
    answer: Answer | None = None


class IdempotencyStore(Protocol):
    """Every Idempotency-Key for a day."""

    def claim(self, key: str, wanted: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        """The claim that stands: the wanted one, or one that was there before.

        One without an answer, of the same head, whose holder is dead goes over to the wanted holder.
        """

    def renew(self, key: str, *, holder: str, until: float) -> None:
        """The holder lives."""

    def settle(self, key: str, *, holder: str, whole: str, answer: Answer) -> None:
        """The holder has answered."""

    def release(self, key: str, *, holder: str) -> None:
        """The holder has created nothing: forget its claim."""


class ReportIndex(Protocol):
    """What earlier analyses have found; see shared/recall.py for the names. Written with their jobs."""

    def report(self, key: str, *, now: float) -> Report | None:
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
    holder: str
    """The request that writes; an earlier one that still believes it does has lost."""
    tail: Remainder | None = None


class TusUploadStore(Protocol):
    """Resumable uploads until they are whole."""

    def add(self, resumable: TusUpload) -> None:
        """Remember a new one; forgotten some days after the last call for it."""

    def get(self, upload_id: str) -> TusUpload:
        """Raises NotFound."""

    def take(self, upload_id: str, *, holder: str) -> TusUpload:
        """Make a request the only one that writes. Raises NotFound."""

    def save_remainder(self, upload_id: str, *, holder: str, tail: Remainder | None) -> bool:
        """Remember a new tail; False where somebody else has taken the upload."""

    def remove(self, upload_id: str) -> None:
        """Forget one, whether it is there or not."""
