"""A batch as others see it: the API's answers and its webhook show this one rendering."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from shared.domain.batch import Batch, BatchState, ItemState
from shared.schemas.job import Hertz, Timestamp, View, optional_timestamp, timestamp_of

_ID = "hT9rQw0nq0mM2yq4bq7nHf"


class CountsView(View):
    """How many jobs stand where; together they are all."""

    queued: int = Field(default=0, examples=[3])
    running: int = Field(default=0, examples=[1])
    succeeded: int = Field(default=0, examples=[8])
    failed: int = Field(default=0, examples=[0])
    dead: int = Field(default=0, examples=[0])
    canceled: int = Field(default=0, examples=[0])
    gone: int = Field(default=0, description="Deleted or expired.", examples=[0])


class ItemView(View):
    """One job of a batch, in short."""

    index: int = Field(description="Its place in the request, from 0.", examples=[0])
    job_id: str = Field(examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    filename: str | None = Field(description="As it was when the batch was made.", examples=["midnight.mp3"])
    state: ItemState
    verdict: str | None = Field(description="432, 440, other or inconclusive.", examples=["432"])
    a4_hz: Hertz | None = Field(examples=[432.04])
    confidence: float | None = Field(examples=[0.97])
    problem: str | None = Field(description="Code of why there is no report.", examples=[None])


class BatchLinksView(View):
    """Where to go from here."""

    self: str = Field(examples=[f"/v1/batches/{_ID}"])


class BatchLineView(View):
    """A batch without its items."""

    id: str = Field(description="128 random bits.", examples=[_ID])
    name: str | None = Field(examples=["Spring catalogue"])
    state: BatchState = Field(description="`running` while any job waits or runs.")
    created_at: Timestamp
    completed_at: Timestamp | None = Field(
        description="When all jobs had ended for the first time; a retry later does not change it."
    )
    expires_at: Timestamp | None = Field(
        description="When the batch is forgotten; null while any job waits or runs."
    )
    total: int = Field(examples=[12])
    done: int = Field(description="Jobs that have ended, or are gone.", examples=[8])
    progress: float = Field(description="`done` of `total`, from 0 to 1.", examples=[0.667])
    links: BatchLinksView

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The line of a batch in a list."""
        return cls(**_line(batch))


class BatchView(BatchLineView):
    """A batch: how far it is, and what became of each item."""

    counts: CountsView
    items: list[ItemView] = Field(description="In the order of the request; their jobs hold the reports.")

    @classmethod
    def of(cls, batch: Batch, live: Mapping[str, ItemState] | None = None) -> Self:
        """The view of a batch whose open jobs stand as *live* says."""
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
        "links": BatchLinksView(self=f"/v1/batches/{batch.id}"),
    }
