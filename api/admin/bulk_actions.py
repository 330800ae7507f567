"""What operators do, to one job, some, or all that match; each act is written to the audit log. Blocking."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from api.admin.authentication import AdminUser
from api.admin.overview import Overview
from api.jobs.service import JobActions
from shared.domain.job_state import JobState
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.admin import AuditEntry
from shared.ports.jobs import JobQuery
from shared.ports.workers import WorkerCommand

MOST_AT_ONCE = 1000
"""How many jobs one act changes; the answer says how many are left."""
_PAGE = 200


class BulkAction(StrEnum):
    """What can be done to jobs."""

    RETRY = "retry"
    CANCEL = "cancel"
    DELETE = "delete"


_STATES = {
    BulkAction.RETRY: (JobState.FAILED, JobState.DEAD),
    BulkAction.CANCEL: (JobState.QUEUED, JobState.RUNNING, JobState.AWAITING_UPLOAD),
    BulkAction.DELETE: tuple(JobState),
}
"""Where an act makes sense: nothing else is chosen by a filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSelection:
    """Some jobs by their ids, or all that match a question or are found by a text."""

    ids: tuple[str, ...] = ()
    query: JobQuery | None = None
    text: str | None = None

    def __str__(self) -> str:
        if self.query is None:
            return ", ".join(self.ids[:3]) + (", …" if len(self.ids) > 3 else "")
        query = self.query
        parts = [
            f"state {', '.join(sorted(query.states))}" if query.states else "",
            f"reason {query.reason}" if query.reason else "",
            f"worker {query.worker}" if query.worker else "",
            f"found by “{self.text}”" if self.text else "",
            "within a time" if query.created_after or query.created_before else "",
        ]
        return "all with " + "; ".join(part for part in parts if part) if any(parts) else "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an act did."""

    done: int
    refused: tuple[tuple[str, str], ...]
    """Ids, and why nothing happened to them."""
    left: bool
    """Whether more match than were changed in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkActions:
    """The levers. Whoever pulls one must be allowed to, and is written down."""

    board: Overview
    acts: JobActions

    def count(self, act: BulkAction, selection: JobSelection) -> tuple[int, bool]:
        """How many jobs an act would meet, and whether there are no more than these."""
        if selection.query is None:
            return len(selection.ids), True
        queries = list(_queries(act, selection.query))
        if selection.text is None:
            counts = [self.board.overview.count(query) for query in queries]
            if None not in counts:
                return sum(count or 0 for count in counts), True
        found = len(list(islice(self._chosen(act, selection), MOST_AT_ONCE + 1)))
        return min(found, MOST_AT_ONCE), found <= MOST_AT_ONCE

    def act(self, act: BulkAction, selection: JobSelection, *, visitor: AdminUser) -> Outcome:
        """Change jobs. Raises Forbidden, Unavailable."""
        visitor.require_act()
        chosen = list(islice(self._chosen(act, selection), MOST_AT_ONCE + 1))
        step: Callable[[str], object] = {
            BulkAction.RETRY: self.acts.retry,
            BulkAction.CANCEL: self.acts.cancel,
            BulkAction.DELETE: self.acts.delete,
        }[act]
        done, refused = 0, []
        try:
            for job_id in chosen[:MOST_AT_ONCE]:
                try:
                    step(job_id)
                    done += 1
                except (Conflict, NotFound) as error:
                    refused.append((job_id, error.message))
        finally:
            self.write(visitor, act, str(selection), done)
        return Outcome(done=done, refused=tuple(refused), left=len(chosen) > MOST_AT_ONCE)

    def pause(self, queue: str, *, visitor: AdminUser) -> None:
        """Let no job of a queue be started. Raises Forbidden, NotFound."""
        visitor.require_act()
        self._check_queue(queue)
        self.board.controls.pause(queue)
        self.write(visitor, "pause", f"queue {queue}", 1)

    def resume(self, queue: str, *, visitor: AdminUser) -> None:
        """Let them be started again. Raises Forbidden, NotFound."""
        visitor.require_act()
        self._check_queue(queue)
        self.board.controls.resume(queue)
        self.write(visitor, "resume", f"queue {queue}", 1)

    def tell(self, worker: str, order: WorkerCommand | None, *, visitor: AdminUser) -> None:
        """Drain or restart a worker; None: let it work again. Raises Forbidden, NotFound."""
        visitor.require_act()
        if worker not in {one.name for one in self.board.workers.list_alive()}:
            raise NotFound("There is no such worker, or it was not heard of lately.")
        if order is None:
            self.board.controls.clear_command(worker)
        else:
            self.board.controls.send_command(worker, order)
        self.write(visitor, order or "work again", f"worker {worker}", 1)

    def redeliver(self, delivery_id: str, *, visitor: AdminUser) -> None:
        """Send a webhook again. Raises Forbidden, NotFound, Conflict."""
        visitor.require_act()
        self.board.deliveries.change(delivery_id, lambda delivery: delivery.redeliver(now=time.time()))
        self.write(visitor, "redeliver", f"webhook {delivery_id}", 1)

    def _chosen(self, act: BulkAction, selection: JobSelection) -> Iterator[str]:
        if selection.query is None:
            yield from selection.ids
            return
        for query in _queries(act, selection.query):
            cursor = None
            while True:
                one = replace(query, cursor=cursor, limit=_PAGE)
                page = self.board.list(one, text=selection.text)
                yield from (job.id for job in page.jobs)
                cursor = page.cursor
                if cursor is None:
                    break

    def _check_queue(self, queue: str) -> None:
        if queue not in self.board.queues:
            raise NotFound(f"There is no such queue; there are {', '.join(self.board.queues)}.")

    def write(self, visitor: AdminUser, act: str, what: str, count: int) -> None:
        """Note an act in the audit log."""
        self.board.audit.add(
            AuditEntry(
                at=time.time(), who=visitor.who, address=visitor.address, act=act, what=what, count=count
            )
        )


def selection_of(ids: list[str], query: JobQuery | None, text: str | None) -> JobSelection:
    """A selection by ids or by a filter, never both. Raises BadRequest."""
    if bool(ids) == (query is not None):
        raise BadRequest("Choose jobs by their ids, or all that match a filter: one of the two.")
    if len(ids) > MOST_AT_ONCE:
        raise BadRequest(f"At most {MOST_AT_ONCE} ids at once.")
    return JobSelection(ids=tuple(dict.fromkeys(ids)), query=query, text=text or None)


def _queries(act: BulkAction, query: JobQuery) -> Iterator[JobQuery]:
    """One question for each state that the act makes sense in: each has its own index."""
    for state in _STATES[act]:
        if not query.states or state in query.states:
            yield replace(query, states=frozenset({state}))
