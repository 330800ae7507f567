"""Every error, grouped by what to do about it.

    KammertonError
    ├── Rejected        the client must change the request
    │   ├── BadRequest (AddressRefused)  ├── NotFound  ├── Conflict  ├── TooLarge  ├── UnsupportedMedia
    │   ├── UploadStalled  ├── UploadAborted  ├── Unauthenticated  ├── Forbidden  ├── LimitReached
    │   ├── IdempotencyKeyReused  ├── InvalidItem  ├── ChecksumMismatch  └── UnsupportedVersion
    ├── Unanalysable    the job fails; another attempt can't help
    │   ├── Undecodable ├── TooComplex  ├── AudioMissing  └── SourceRefused
    ├── Crashed         this attempt failed; another one may succeed
    ├── Unavailable     a dependency is unavailable, or full: try again later
    │   ├── QueueFull
    │   ├── Overloaded  this process has no memory for another upload
    │   ├── OutOfMemory  the machine of a worker has no memory for an attempt
    │   └── AudioDamaged  storage sends other bytes than were uploaded
    ├── Unreachable     another server does not respond as it should
    │   └── SourceUnavailable  retry some times, later
    ├── UnsupportedServer  Redis runs in a mode that can't be used: the process ends
    ├── InstallationMismatch  Redis and the bucket don't belong together: nothing may be deleted
    ├── UnreadableRecord  a record in Redis is damaged: an operator must look at it
    └── LeaseLost       another worker has the job now: stop and write nothing

Messages are sentences for the client, without paths, addresses or tracebacks.
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
    """Raised when something does not exist for this caller."""

    code = "not_found"


class Conflict(Rejected):
    """Raised when the state of something does not allow the request."""

    code = "conflict"


class TooLarge(Rejected):
    """Raised when an upload exceeds the size limit, declared or counted."""

    code = "too_large"

    def __init__(self, message: str, *, limit_bytes: int | None = None) -> None:
        super().__init__(message)
        self.limit_bytes = limit_bytes


class UnsupportedMedia(Rejected):
    """Raised when the media type or the first bytes of an upload are not audio."""

    code = "unsupported_media"


class UploadStalled(Rejected):
    """Raised when a client sends too slowly for too long."""

    code = "upload_stalled"


class UploadAborted(Rejected):
    """Raised when a client disconnects before the end of its upload."""

    code = "upload_gone"


class AddressRefused(BadRequest):
    """Raised when a URL is not allowed for outbound requests."""

    code = "address_refused"


class AddressUnresolved(AddressRefused):
    """Raised when the host name of a URL is not resolved in time."""

    code = "address_unresolved"


class Unauthenticated(Rejected):
    """Raised when a request has no valid API key."""

    code = "unauthenticated"


class Forbidden(Rejected):
    """Raised when the caller's API key lacks the scope."""

    code = "forbidden"


class IdempotencyKeyReused(Rejected):
    """Raised when an Idempotency-Key is used for a different request."""

    code = "idempotency_key_reused"


class LimitReached(Rejected):
    """Raised when a caller reaches a limit. `retry_after_seconds`: when more is available."""

    code = "limit_reached"

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class InvalidItem(Rejected):
    """Raised when an item of a batch is invalid. `item`: its index in the request, from 0."""

    code = "bad_item"

    def __init__(self, item: int, error: Rejected) -> None:
        super().__init__(f"items[{item}]: {error.message}")
        self.item = item


class ChecksumMismatch(Rejected):
    """Raised when the bytes of a tus request do not match their checksum."""

    code = "checksum_mismatch"


class UnsupportedVersion(Rejected):
    """Raised when a client uses an unsupported version of a protocol."""

    code = "wrong_version"


class Unanalysable(KammertonError):
    """The recording itself is the reason for the failure."""

    code = "unanalysable"


class Undecodable(Unanalysable):
    """Raised when no decoder can read the file."""

    code = "undecodable"


class TooComplex(Unanalysable):
    """Raised when a file needs more time or memory than one job may use."""

    code = "too_complex"


class AudioMissing(Unanalysable):
    """Raised when the audio of a job is no longer in storage."""

    code = "audio_missing"


class SourceRefused(Unanalysable):
    """Raised when a URL gives no audio. `retryable`: it may do so later."""

    code = "source_refused"

    def __init__(self, message: str, *, code: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


class Crashed(KammertonError):
    """Raised when the decoder process died, which is one failed attempt."""

    code = "crashed"


class Unavailable(KammertonError):
    """Raised when storage or Redis does not answer, or refuses the request."""

    code = "unavailable"

    @property
    def cause(self) -> str | None:
        """What the server or the network said. For logs only: it can name addresses."""
        return str(self.__cause__) if self.__cause__ else None


class QueueFull(Unavailable):
    """Raised when too many jobs are queued."""

    code = "queue_full"
    retry_after_seconds = 60


class NotConfigured(KammertonError):
    """Raised when the operator must set something before this works. Trying again does not help."""

    code = "not_configured"


class Unreachable(KammertonError):
    """Raised when another server can't be reached, is too slow, or sends invalid HTTP."""

    code = "unreachable"


class SourceUnavailable(Unreachable):
    """Raised when the source server is unavailable. `retry_after_seconds`: what it asks for."""

    code = "source_away"

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Unavailable):
    """Raised when no memory for an upload, or no place for a lookup, became free in time."""

    code = "overloaded"


class OutOfMemory(Unavailable):
    """Raised when the kernel killed a process of an attempt because the machine has no memory left."""


class AudioDamaged(Unavailable):
    """Raised when storage sends other bytes than were uploaded. It may send the right ones later."""


class UnreadableRecord(KammertonError):
    """Raised when a record in Redis is damaged, or its format is unknown."""

    code = "unreadable_record"


class UnsupportedServer(KammertonError):
    """Raised when Redis runs in a mode that this service can't use."""


class InstallationMismatch(KammertonError):
    """Raised when the store and the bucket belong to different installations."""


class LeaseLost(KammertonError):
    """Raised when a worker changes a job whose lease it does not hold."""

    code = "lost_lease"
