"""Requests and responses of batches."""

from collections.abc import Mapping
from typing import Annotated, Self

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.uploads.options import (
    QUEUE,
    AudioSource,
    CallbackUrl,
    Events,
    Filename,
    JobOptions,
    QueueName,
    StartSeconds,
)
from api.webhooks.schemas import DeliveryView
from shared.domain.batch import MAX_ITEMS, Batch, ItemState
from shared.domain.webhooks.delivery import Delivery
from shared.domain.webhooks.events import ALL_EVENTS
from shared.ports.batches import BatchPage
from shared.schemas.batch import BatchLineView, BatchView
from shared.schemas.job import View

_MAX_NAME_LENGTH = 200
BATCH_EVENTS = (
    f"Events to send: {', '.join(ALL_EVENTS)}. The default is `batch.completed` alone. With events of jobs, "
    "each job calls back as well."
)


class CreateBatchItem(AudioSource):
    """One recording of a batch."""

    filename: Filename = None
    start_seconds: StartSeconds = None


class CreateBatch(BaseModel):
    """Recordings to analyze together."""

    model_config = ConfigDict(extra="forbid")

    items: list[CreateBatchItem] = Field(
        min_length=1,
        max_length=MAX_ITEMS,
        description=f"1 to {MAX_ITEMS} recordings, each with either `upload_id` or `source_url`, and "
        "optionally its own `filename` and `start_seconds`.",
    )
    name: str | None = Field(
        default=None,
        max_length=_MAX_NAME_LENGTH,
        description="A name for your own use.",
        examples=["Spring catalogue"],
    )
    queue: QueueName = Field(default="batch", description=QUEUE)
    callback_url: CallbackUrl = None
    events: Annotated[Events, Field(max_length=20, description=BATCH_EVENTS)] = []

    def options_of(self, item: CreateBatchItem) -> JobOptions:
        """Return the options of one item's job. Its callback is that of the batch."""
        return JobOptions(filename=item.filename, start_seconds=item.start_seconds, queue=self.queue)


class BatchDetailView(BatchView):
    """A batch and its webhook deliveries."""

    deliveries: list[DeliveryView] = Field(
        description="Deliveries of `batch.completed`; empty without a webhook."
    )

    @classmethod
    def with_deliveries(
        cls, batch: Batch, live: Mapping[str, ItemState], deliveries: tuple[Delivery, ...]
    ) -> Self:
        """Return the view of a batch and its deliveries."""
        views = [DeliveryView.of(delivery) for delivery in deliveries]
        return cls(**dict(BatchView.of(batch, live)), deliveries=views)


class BatchAcceptedView(BatchView):
    """A new batch."""

    callback_secret: str | None = Field(
        default=None,
        description="What the callback is signed with, for a caller without an API key; shown only here.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class BatchPageView(View):
    """A page of batches, newest first."""

    batches: list[BatchLineView] = Field(description="Without their items.")
    cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")

    @classmethod
    def of(cls, page: BatchPage) -> Self:
        """Return the view of a page."""
        return cls(batches=[BatchLineView.of(batch) for batch in page.batches], cursor=page.cursor)


def accepted_batch(batch: Batch) -> JSONResponse:
    """Return 202 with the batch's Location."""
    secret = batch.callback.secret if batch.callback else None
    view = BatchAcceptedView(**dict(BatchView.of(batch)), callback_secret=secret)
    headers = {"Location": f"/v1/batches/{batch.id}", "Retry-After": "1"}
    return JSONResponse(view.model_dump(mode="json"), 202, headers)
