from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, TypeAdapter

from shared.domain.timestamps import format_timestamp
from shared.schemas.timestamp import Timestamp


class Example(BaseModel):
    at: Timestamp
    maybe: Timestamp | None = None


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795305792.5, "2026-11-22T00:03:12.500Z"),
        (1795305792.9999, "2026-11-22T00:03:13.000Z"),
        (1795305792.6721409, "2026-11-22T00:03:12.672Z"),
    ],
)
def test_every_time_is_written_with_milliseconds_in_utc(at: float, text: str) -> None:
    assert format_timestamp(at) == text
    assert Example(at=datetime.fromtimestamp(at, UTC)).model_dump(mode="json") == {"at": text, "maybe": None}
    assert TypeAdapter(Example).validate_python({"at": at}).model_dump(mode="json")["at"] == text


def test_the_document_says_that_it_is_a_time() -> None:
    schema = Example.model_json_schema(mode="serialization")["properties"]
    assert (schema["at"]["type"], schema["at"]["format"]) == ("string", "date-time")
    assert {option.get("format") for option in schema["maybe"]["anyOf"]} == {"date-time", None}
