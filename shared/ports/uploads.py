"""What uploads need from outside: who sends now, who asked before, what was heard before, parts, and uploads
that may pause.

Every method may raise Unavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.report import Report


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
class Claim:
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


class ClaimStore(Protocol):
    """Every Idempotency-Key for a day."""

    def claim(self, key: str, wanted: Claim, *, now: float) -> Claim:
        """The claim that stands: the wanted one, or one that was there before.

        One without an answer, of the same head, whose holder is dead goes over to the wanted holder.
        """

    def renew(self, key: str, *, holder: str, until: float) -> None:
        """The holder lives."""

    def settle(self, key: str, *, holder: str, whole: str, answer: Answer) -> None:
        """The holder has answered."""

    def release(self, key: str, *, holder: str) -> None:
        """The holder has created nothing: forget its claim."""


class Recall(Protocol):
    """What earlier analyses have found; see shared/recall.py for the names. Written with their jobs."""

    def report(self, key: str, *, now: float) -> Report | None:
        """What the newest analysis under this name has found; None where its job is gone or has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """One request that anybody may send, as it is, until it expires. Its size is part of the signature."""

    method: str
    url: str
    headers: dict[str, str]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedForm:
    """The same as a form: the fields, then the file as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How a client brings an object into the store by itself."""

    requests: tuple[SignedRequest, ...]
    """One, or one for each part."""
    form: SignedForm | None = None
    """For an object that comes in one piece."""
    multipart: str | None = None
    """The store's name for an object that comes in parts."""


class DirectStore(Protocol):
    """Uploads that never pass through us. Keys are job ids."""

    def offer(self, key: str, *, size_bytes: int, media_type: str, seconds: int) -> Offer:
        """Let the holder of the answer write exactly this object, for so long."""


class PartStore(Protocol):
    """Objects that come in numbered parts over several requests. Keys are job ids."""

    def start(self, key: str, *, media_type: str) -> str:
        """The store's name for a new object in parts."""

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        """Send one part; the same one again does no harm. All but the last hold `AudioStore.part_bytes`."""

    def sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        """Bytes of part 1, 2, and so on, up to the first that is missing. Raises AudioMissing."""

    def join(self, key: str, *, multipart: str, size_bytes: int) -> None:
        """Make one object of the parts, unless it is one. Raises Conflict where bytes are missing."""

    def abort(self, key: str, *, multipart: str) -> None:
        """Leave no part behind, whether there is one or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of what has arrived of a resumable upload, too short for a part: an object of its own."""

    key: str
    after_parts: int
    """It follows so many parts; once there are more, it is part of them."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """What a resumable upload needs to go on, beside its parts and its job."""

    id: str
    metadata: str
    """As the client gave it."""
    holder: str
    """The request that writes; an earlier one that still believes it does has lost."""
    tail: Tail | None = None


class ResumableStore(Protocol):
    """Resumable uploads until they are whole."""

    def add(self, resumable: Resumable) -> None:
        """Remember a new one; forgotten some days after the last call for it."""

    def get(self, upload_id: str) -> Resumable:
        """Raises NotFound."""

    def take(self, upload_id: str, *, holder: str) -> Resumable:
        """Make a request the only one that writes. Raises NotFound."""

    def leave_tail(self, upload_id: str, *, holder: str, tail: Tail | None) -> bool:
        """Remember a new tail; False where somebody else has taken the upload."""

    def remove(self, upload_id: str) -> None:
        """Forget one, whether it is there or not."""
