"""What the API is configured with, as plain values. `api/main.py` fills it from the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Which browsers, hosts and proxies may use the API."""

    allowed_hosts: tuple[str, ...] = ()
    """Allowed Host headers. Empty: any. `*.example.org` stands for all of its subdomains."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API. `*`: any. Cookies are never sent across origins."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto headers are used."""
    storage_url: str | None = None
    """Where browsers upload files directly."""
    max_concurrent_requests: int = 512
    """The limit of one process, without event streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The limits of each API key, or of each address without one. None: no limit."""

    requests_per_minute: int | None = None
    bytes_per_day: int | None = None
    max_concurrent_uploads: int | None = None
    max_queued_jobs_per_caller: int | None = None
    max_queued_jobs: int = 10_000
    """The limit of all callers together."""
    max_memory_share: float = 0.85
    """Share of Redis's memory from which on no job is accepted: running jobs need the rest."""
    queues: tuple[str, ...] = ("interactive", "batch")
    """The queues, the one with priority first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """The limits of one upload and its job. Sizes in bytes, times in seconds."""

    max_upload_bytes: int
    upload_idle_timeout_seconds: float
    attempts: int
    keep_seconds: float
    """How long a finished job is kept."""
    upload_min_bytes_per_second: float = 1024
    upload_wait_seconds: float = 10
    """How long a new upload waits for buffer memory."""
    upload_buffer_bytes: int = 64 * MIB
    """The buffer memory of all uploads of this process together."""
    upload_parts_in_flight: int = 2
    """How many parts of one upload are sent to the storage at the same time."""
    direct_upload_seconds: float = 3600
    """How long a presigned or tus upload stays open."""
    window_seconds: float = 60
    """How much of the audio is analyzed."""
    source_counts_as_bytes: int = 16 * MIB
    """What a source URL counts towards the daily quota: its size is not known in advance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """The configuration of the API."""

    job_limits: JobLimits
    rate_limits: RateLimits
    http: HttpConfig
    allow_anonymous: bool
    """Accept jobs of callers without an API key."""
    metrics_public: bool = False
    keep_audio: bool = False
    """Keep the audio of a finished job as long as the job."""
    max_latency_seconds: Mapping[str, float] = field(default_factory=dict)
    """By queue: a longer latency is a warning on the dashboard."""
    reuse_reports: bool = True
    """Answer a file that the caller has uploaded before with the earlier report."""


CheckUrl = Callable[[str], str]
"""Normalizes a URL. Blocking, without a timeout. Raises AddressRefused if the service may not call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlChecks:
    """The checks of URLs that clients send."""

    check_callback_url: CheckUrl
    check_source_url: CheckUrl
