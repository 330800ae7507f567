"""What is promised to a new job and what its upload may take, as plain numbers."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTerms:
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
