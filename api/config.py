"""What is promised to a new job and what its upload may take, as plain numbers."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Who may talk to us through a browser or a proxy."""

    hosts: tuple[str, ...] = ()
    """Names that we answer to; empty: any. `*.example.org` stands for all of its subdomains."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API; `*`: any. No cookie crosses origins."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and -Proto are believed."""
    storage_url: str | None = None
    """Where the browser sends files that do not pass through us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The share of each API key, or of each address without one. None: no limit."""

    requests_per_minute: int | None = None
    bytes_per_day: int | None = None
    uploads_at_once: int | None = None
    jobs_queued: int | None = None
    queue_most: int = 10_000
    """Jobs that may wait altogether."""
    queues: tuple[str, ...] = ("interactive", "batch")


MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """What is promised to a new job. Sizes in bytes, times in seconds."""

    max_upload_bytes: int
    upload_idle_seconds: float
    attempts: int
    keep_seconds: float
    upload_least_bytes_per_second: float = 1024
    upload_wait_seconds: float = 10
    """How long a new upload waits for memory."""
    upload_buffer_bytes: int = 64 * MIB
    """For the parts of all uploads of this process together."""
    upload_parts_in_flight: int = 2
    """Of one upload."""
    direct_upload_seconds: float = 3600
    window_seconds: float = 60
    """How much of it is listened to."""
    source_counts_as_bytes: int = 16 * MIB
    """Of the day's bytes, for each address to fetch from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Read from the settings, once."""

    terms: JobLimits
    limits: Limits
    web: Web
    anonymous: bool
    """Take jobs of callers without an API key."""
    metrics_public: bool = False
    keep_audio: bool = False
    """After a job has ended, for as long as the job is remembered."""
    reuse_reports: bool = True
    """Answer the same song again from its caller's earlier job."""


CheckUrl = Callable[[str], str]
"""From an address to its normal form, if it may be called now. Blocking. Raises AddressRefused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Who judges them."""

    of_callbacks: CheckUrl
    of_sources: CheckUrl
