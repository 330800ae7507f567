"""Parses `Retry-After`. Pure."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0


def retry_after_seconds(status: int, headers: Mapping[str, str], *, now: float) -> float:
    """Seconds until the server wants the next request; 0 if it does not say."""
    given = headers.get("retry-after", "").strip()
    if status < 400 or not given:
        return 0.0
    if given.isdecimal() and given.isascii():
        return min(float(given[:10]), _LONGEST_RETRY_AFTER_SECONDS)
    try:
        return min(max(parsedate_to_datetime(given).timestamp() - now, 0.0), _LONGEST_RETRY_AFTER_SECONDS)
    except (ValueError, OverflowError, TypeError):
        return 0.0
