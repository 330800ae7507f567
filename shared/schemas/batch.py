"""The public JSON of a batch, in API responses and webhooks."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from shared.domain.batch import Batch, BatchState, ItemState
from shared.root_path import public_path
from shared.schemas.job import Hertz, View
from shared.schemas.timestamp import Timestamp, optional_timestamp, timestamp_of

_ID = "hT9rQw0nq0mM2yq4bq7nHf"


class CountsView(View):
    """How many jobs are in each state."""

    queued: int = Field(default=0, examples=[3])
    running: int = Field(default=0, examples=[1])
    succeeded: int = Field(default=0, examples=[8])
    failed: int = Field(default=0, examples=[0])
    dead: int = Field(default=0, examples=[0])
    canceled: int = Field(default=0, examples=[0])
    gone: int = Field(default=0, description="Deleted or expired.", examples=[0])


class ItemView(View):
    """One job of a batch."""

    index: int = Field(description="Its index in the request, from 0.", examples=[0])
    job_id: str = Field(examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    filename: str | None = Field(description="When the batch was created.", examples=["midnight.mp3"])
    state: ItemState
    verdict: str | None = Field(description="432, 440, other or inconclusive.", examples=["432"])
    a4_hz: Hertz | None = Field(examples=[432.04])
    confidence: float | None = Field(examples=[0.97])
    problem: str | None = Field(description="Its code, if there is no report.", examples=[None])


class BatchLinksView(View):
    """Related URLs."""

    self: str = Field(examples=[f"/v1/batches/{_ID}"])


class BatchLineView(View):
    """A batch without its items."""

    id: str = Field(description="128 random bits.", examples=[_ID])
    name: str | None = Field(examples=["Spring catalogue"])
    state: BatchState = Field(description="`running` while any job is queued or running.")
    created_at: Timestamp
    completed_at: Timestamp | None = Field(
        description="When all jobs had ended for the first time. A later retry does not change it."
    )
    expires_at: Timestamp | None = Field(
        description="When the batch is deleted; null while any job is queued or running."
    )
    total: int = Field(examples=[12])
    done: int = Field(description="Jobs that have ended or were deleted.", examples=[8])
    progress: float = Field(description="`done` / `total`, from 0 to 1.", examples=[0.667])
    links: BatchLinksView

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The view of a batch in a list."""
        return cls(**_line(batch))


class BatchView(BatchLineView):
    """A batch: its progress, and the result of each item."""

    counts: CountsView
    items: list[ItemView] = Field(description="In the order of the request; their jobs hold the reports.")

    @classmethod
    def of(cls, batch: Batch, live: Mapping[str, ItemState] | None = None) -> Self:
        """The view of a batch. *live* has the states of its open jobs."""
        states = batch.states(live or {})
        items = [
            ItemView(
                index=index,
                job_id=item.job_id,
                filename=item.filename,
                state=state,
                verdict=item.outcome.verdict if item.outcome else None,
                a4_hz=item.outcome.a4_hz if item.outcome else None,
                confidence=item.outcome.confidence if item.outcome else None,
                problem=item.outcome.problem if item.outcome else None,
            )
            for index, (item, state) in enumerate(zip(batch.items, states, strict=True))
        ]
        counts = CountsView(**{state.value: states.count(state) for state in ItemState})
        return cls(**_line(batch), counts=counts, items=items)


def _line(batch: Batch) -> dict[str, Any]:
    total = len(batch.items)
    done = total - len(batch.open_ids)
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "created_at": timestamp_of(batch.created_at),
        "completed_at": optional_timestamp(batch.completed_at),
        "expires_at": optional_timestamp(batch.expires_at),
        "total": total,
        "done": done,
        "progress": round(done / total, 3),
        "links": BatchLinksView(self=public_path(f"/v1/batches/{batch.id}")),
    }
