"""The store of batches. Every method may raise Unavailable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.batch import Batch, ItemState
from shared.domain.job import Job

JobChange = tuple[Job | None, Job]
"""A job before and after the change; None: it is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """A page of batches, and the cursor of the next page."""

    batches: tuple[Batch, ...]
    cursor: str | None


class BatchStore(Protocol):
    """Batches. The job store records changes of their jobs, in the transaction of the change."""

    def create(self, batch: Batch, steps: Sequence[JobChange]) -> None:
        """Record a batch with all its jobs, or nothing.

        Raises Conflict if its id is taken, or one of the jobs has changed since it was read.
        """

    def get(self, batch_id: str) -> Batch:
        """Raises NotFound."""

    def get_with_item_states(self, batch_id: str) -> tuple[Batch, Mapping[str, ItemState]]:
        """A batch, and the states of its open jobs by id. Raises NotFound."""

    def change(self, batch_id: str, step: Callable[[Batch], Batch]) -> Batch:
        """Apply a pure step atomically, again if another writer was faster. Raises NotFound."""

    def remove(self, batch_id: str) -> None:
        """Delete the batch if it exists, but not its jobs."""

    def page(self, owner: str | None, *, cursor: str | None, limit: int) -> BatchPage:
        """The batches of an API key, or of everybody, newest first. Raises BadRequest."""
