"""A batch as a client sees it, with who was told of it."""

from collections.abc import Mapping
from typing import Self

from fastapi.responses import JSONResponse
from pydantic import Field

from api.schemas import View
from api.webhook_views import DeliveryView
from shared.batch import Batch, ItemState
from shared.batch_ports import BatchPage
from shared.batch_view import BatchLineView, BatchView
from shared.delivery import Delivery


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
