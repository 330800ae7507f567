"""The type of every time in the API: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, PlainSerializer

from shared.domain.timestamps import format_timestamp

Timestamp = Annotated[
    datetime,
    PlainSerializer(
        lambda value: format_timestamp(value.timestamp()), return_type=str, when_used="json-unless-none"
    ),
    Field(examples=["2026-11-22T00:03:12.501Z"], json_schema_extra={"format": "date-time"}),
]


def timestamp_of(at: float) -> datetime:
    """UNIX seconds as a time, rounded to milliseconds."""
    return datetime.fromtimestamp(round(at, 3), UTC)


def optional_timestamp(at: float | None) -> datetime | None:
    """UNIX seconds as a time; None stays None."""
    return None if at is None else timestamp_of(at)
