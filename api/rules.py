"""What this installation allows and promises to all who come, as plain values."""

from dataclasses import dataclass

from api.headers import Web
from api.limits import Limits
from api.terms import JobTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Read from the settings, once."""

    terms: JobTerms
    limits: Limits
    web: Web
    anonymous: bool
    """Take jobs of callers without an API key."""
    metrics_public: bool = False
    keep_audio: bool = False
    """After a job has ended, for as long as the job is remembered."""
    reuse_reports: bool = True
    """Answer the same song again from its caller's earlier job."""
