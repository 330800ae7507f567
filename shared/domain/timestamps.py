"""The one format of times that others read. Pure."""

from datetime import UTC, datetime


def format_timestamp(at: float) -> str:
    """UNIX seconds as RFC 3339 in UTC with milliseconds, such as `2026-11-22T00:03:12.501Z`."""
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
