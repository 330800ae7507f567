"""Where batches are kept. Every method may raise Unavailable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.batch import Batch, ItemState
from shared.domain.job import Job

JobChange = tuple[Job | None, Job]
"""A job as it was read and as it is to be; None: it is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """Some batches, and where the next page begins."""

    batches: tuple[Batch, ...]
    cursor: str | None


class BatchStore(Protocol):
    """Batches. What becomes of their jobs is seen by the job store, which tells of it in the same breath."""

    def create(self, batch: Batch, steps: Sequence[JobChange]) -> None:
        """Record a batch with all its jobs, or nothing of it.

        Raises Conflict if its id is taken, or one of the jobs is no longer as it was read.
        """

    def get(self, batch_id: str) -> Batch:
        """Raises NotFound."""

    def get_with_item_states(self, batch_id: str) -> tuple[Batch, Mapping[str, ItemState]]:
        """A batch, and where its open jobs stand, by their ids. Raises NotFound."""

    def change(self, batch_id: str, step: Callable[[Batch], Batch]) -> Batch:
        """Apply a pure step atomically, again if somebody was faster. Raises NotFound."""

    def remove(self, batch_id: str) -> None:
        """Forget the batch alone, whether it is there or not."""

    def page(self, owner: str, *, cursor: str | None, limit: int) -> BatchPage:
        """An API key's batches, newest first. Raises BadRequest for a cursor that is none."""
