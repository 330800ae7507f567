"""What a client asks of a batch, as JSON."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.uploads.service import QUEUE
from api.uploads.source_url import ONE_SOURCE, Filename, SourceUrl, StartSeconds
from api.webhooks.callback import CALLBACK_URL
from api.webhooks.schemas import DeliveryView
from shared.domain.batch import MAX_ITEMS, Batch, ItemState
from shared.domain.delivery import Delivery
from shared.domain.webhook import ALL_EVENTS
from shared.ports.batches import BatchPage
from shared.schemas.batch import BatchLineView, BatchView
from shared.schemas.job import View

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
        max_length=MAX_ITEMS,
        description=f"1 to {MAX_ITEMS}, each with either `upload_id` or `source_url`, and if need be its "
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


class BatchDetailView(BatchView):
    """A batch, and who was told of it."""

    deliveries: list[DeliveryView] = Field(description="Of `batch.completed`; empty without a webhook.")

    @classmethod
    def beside(cls, batch: Batch, live: Mapping[str, ItemState], deliveries: tuple[Delivery, ...]) -> Self:
        """The view of a batch with its deliveries."""
        told = [DeliveryView.of(delivery) for delivery in deliveries]
        return cls(**dict(BatchView.of(batch, live)), deliveries=told)


class BatchAcceptedView(BatchView):
    """A new batch."""

    callback_secret: str | None = Field(
        default=None,
        description="What the callback is signed with, for a caller without an API key; shown only here.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class BatchPageView(View):
    """Some batches, newest first."""

    batches: list[BatchLineView] = Field(description="Without their items.")
    cursor: str | None = Field(description="Ask again with it for the next page; null: there is none.")

    @classmethod
    def of(cls, page: BatchPage) -> Self:
        """The view of a page."""
        return cls(batches=[BatchLineView.of(batch) for batch in page.batches], cursor=page.cursor)


def accepted_batch(batch: Batch) -> JSONResponse:
    """202: follow Location."""
    secret = batch.callback.secret if batch.callback else None
    view = BatchAcceptedView(**dict(BatchView.of(batch)), callback_secret=secret)
    headers = {"Location": f"/v1/batches/{batch.id}", "Retry-After": "1"}
    return JSONResponse(view.model_dump(mode="json"), 202, headers)
