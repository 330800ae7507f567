"""What a client asks of a batch, as JSON."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.callback import CALLBACK_URL
from api.source_url import ONE_SOURCE, Filename, SourceUrl, StartSeconds
from api.submit import QUEUE
from shared.batch import MOST_ITEMS
from shared.webhook import ALL_EVENTS

_LONGEST_NAME = 200
MOST_BYTES = 256 * 1024
"""Of the JSON: the most items with addresses of two kilobytes each."""

BATCH_EVENTS = (
    f"What to tell: {', '.join(ALL_EVENTS)}. By default `batch.completed` alone; with events of jobs, each "
    "job calls back as well."
)


class NewItem(BaseModel):
    """One recording of a batch."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=ONE_SOURCE)

    upload_id: str | None = Field(default=None, max_length=128, description="Of POST /v1/uploads.")
    source_url: SourceUrl = None
    filename: Filename = None
    start_seconds: StartSeconds = None


class NewBatch(BaseModel):
    """Recordings that are to be done as one."""

    model_config = ConfigDict(extra="forbid")

    items: list[NewItem] = Field(
        min_length=1,
        max_length=MOST_ITEMS,
        description=f"1 to {MOST_ITEMS}, each with either `upload_id` or `source_url`, and if need be its "
        "own `filename` and `start_seconds`.",
    )
    name: str | None = Field(
        default=None, max_length=_LONGEST_NAME, description="For you.", examples=["Spring catalogue"]
    )
    # no enum: its schema would refer to definitions that this one leaves behind
    queue: Literal["interactive", "batch"] = Field(default="batch", description=QUEUE)
    callback_url: str | None = Field(default=None, description=CALLBACK_URL)
    events: list[str] = Field(default=[], max_length=20, description=BATCH_EVENTS)


def schema_of_new_batch() -> dict[str, Any]:
    """With its items' schema in its place: the document around it has other definitions."""
    schema = NewBatch.model_json_schema()
    del schema["$defs"]
    schema["properties"]["items"]["items"] = NewItem.model_json_schema()
    return schema
