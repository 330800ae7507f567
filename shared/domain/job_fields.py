"""The parts of a job: its input, its callback, its lease, its problem. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, for the client."""

    code: str
    message: str
    retryable: bool
    """Whether another attempt could end differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInput:
    """What was uploaded."""

    filename: str | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A webhook for one job. Its URL and its secret must not be shown or logged."""

    url: str = field(repr=False)
    events: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    """For this job only; None: its owner's secrets sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The exclusive right of one worker to end an attempt."""

    token: int
    """The attempt's number. Later leases have higher tokens."""
    worker: str
    until: float
