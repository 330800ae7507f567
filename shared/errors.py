"""Everything that can go wrong, branched by what to do about it.

    KammertonError
    ├── Rejected        the client's turn: change the request
    │   ├── BadRequest (AddressRefused)  ├── NotFound  ├── Conflict  ├── TooLarge  ├── UnsupportedMedia
    │   ├── UploadStalled  ├── UploadAborted  ├── Unauthenticated  ├── Forbidden  ├── LimitReached
    │   ├── IdempotencyKeyReused  ├── InvalidItem  └── UnsupportedVersion
    ├── Unanalysable    the job fails, another try can't help
    │   ├── Undecodable ├── TooComplex  ├── AudioMissing  └── SourceRefused
    ├── Crashed         this attempt failed, another may not
    ├── Unavailable     a dependency is away, or full: try again later
    │   ├── QueueFull
    │   └── Overloaded  so are we ourselves, with other uploads
    ├── Unreachable     somebody else's server does not answer as agreed: theirs to mend
    │   └── SourceUnavailable  ask it again later, some times
    └── LeaseLost       somebody else has the job now: stop, write nothing

Messages are sentences for the client: no path, address or traceback in them.
"""


class KammertonError(Exception):
    """The root. `code` is stable and machine-readable; the message is safe to show."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class Rejected(KammertonError):
    """The client must change the request."""

    code = "rejected"


class BadRequest(Rejected):
    """Raised when a request can't be understood."""

    code = "bad_request"


class NotFound(Rejected):
    """Raised when there is no such job for this caller."""

    code = "not_found"


class Conflict(Rejected):
    """Raised when the job's state does not allow what was asked."""

    code = "conflict"


class TooLarge(Rejected):
    """Raised when an upload passes the size limit, declared or counted."""

    code = "too_large"

    def __init__(self, message: str, *, limit_bytes: int | None = None) -> None:
        super().__init__(message)
        self.limit_bytes = limit_bytes


class UnsupportedMedia(Rejected):
    """Raised when an upload is no audio by its media type or its first bytes."""

    code = "unsupported_media"


class UploadStalled(Rejected):
    """Raised when a client sends too slowly for too long."""

    code = "upload_stalled"


class UploadAborted(Rejected):
    """Raised when a client hangs up before the end of its upload."""

    code = "upload_gone"


class AddressRefused(BadRequest):
    """Raised when a web address is none that we call for anybody."""

    code = "address_refused"


class Unauthenticated(Rejected):
    """Raised when a request needs an API key and has none that is valid."""

    code = "unauthenticated"


class Forbidden(Rejected):
    """Raised when the caller's key does not allow what was asked."""

    code = "forbidden"


class IdempotencyKeyReused(Rejected):
    """Raised when an Idempotency-Key comes with another request than before."""

    code = "idempotency_key_reused"


class LimitReached(Rejected):
    """Raised when a caller asks for more than its share. `retry_after_seconds`: when there is more."""

    code = "limit_reached"

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class InvalidItem(Rejected):
    """Raised when one item of a batch can't be a job. `item`: its place in the request, from 0."""

    code = "bad_item"

    def __init__(self, item: int, why: Rejected) -> None:
        super().__init__(f"items[{item}]: {why.message}")
        self.item = item


class UnsupportedVersion(Rejected):
    """Raised when a client speaks another version of a protocol."""

    code = "wrong_version"


class Unanalysable(KammertonError):
    """The recording itself is the reason that there is no report."""

    code = "unanalysable"


class Undecodable(Unanalysable):
    """Raised when no decoder gets audio out of the bytes."""

    code = "undecodable"


class TooComplex(Unanalysable):
    """Raised when a file needs more time or memory than one job may take."""

    code = "too_complex"


class AudioMissing(Unanalysable):
    """Raised when the audio of a job is no longer in storage."""

    code = "audio_missing"


class SourceRefused(Unanalysable):
    """Raised when an address gives no audio. `retryable`: a person may find that it does, later."""

    code = "source_refused"

    def __init__(self, message: str, *, code: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


class Crashed(KammertonError):
    """Raised when a decoder died under a file, which is one failed attempt."""

    code = "crashed"


class Unavailable(KammertonError):
    """Raised when storage or Redis does not answer, or answers that it can't."""

    code = "unavailable"


class QueueFull(Unavailable):
    """Raised when more jobs wait than can be analysed in a reasonable time."""

    code = "queue_full"


class Unreachable(KammertonError):
    """Raised when somebody else's server can't be reached, is too slow, or does not speak HTTP."""

    code = "unreachable"


class SourceUnavailable(Unreachable):
    """Raised when the server of a job's audio is away. `retry_after_seconds`: what it asks for."""

    code = "source_away"

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Unavailable):
    """Raised when memory for uploads did not become free in time."""

    code = "overloaded"


class LeaseLost(KammertonError):
    """Raised when a worker acts on a job that another one has, or nobody."""

    code = "lost_lease"
