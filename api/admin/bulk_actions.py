"""Retry, cancel or delete one job, several, or all that match a filter. Blocking.

Each action is written to the audit log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from api.admin.audit import record
from api.admin.auth.authentication import AdminUser
from api.admin.overview import Overview
from api.jobs.service import JobActions
from shared.domain.job_state import JobState
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.jobs import JobQuery

MAX_JOBS = 1000
"""How many jobs one request changes."""
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
"""The states in which an action makes sense; a filter selects no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSelection:
    """Some jobs by their ids, or all that match a query and a search text."""

    ids: tuple[str, ...] = ()
    query: JobQuery | None = None
    text: str | None = None

    def __str__(self) -> str:
        if self.query is None:
            return ", ".join(self.ids[:3]) + (", …" if len(self.ids) > 3 else "")
        query = self.query
        conditions = [
            f"state {', '.join(sorted(query.states))}" if query.states else "",
            f"reason {query.reason}" if query.reason else "",
            f"worker {query.worker}" if query.worker else "",
            f"name “{self.text}”" if self.text else "",
            "a time range" if query.created_after or query.created_before else "",
        ]
        return "all with " + "; ".join(filter(None, conditions)) if any(conditions) else "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """The result of an action."""

    done: int
    refused: tuple[tuple[str, str], ...]
    """Ids of jobs that did not change, and the reasons."""
    has_more: bool
    """Whether more jobs match than one request changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkActions:
    """Runs actions on jobs."""

    overview: Overview
    job_actions: JobActions

    def count(self, action: BulkAction, selection: JobSelection) -> tuple[int, bool]:
        """How many jobs an action would change, and whether that number is exact."""
        if selection.query is None:
            return len(selection.ids), True
        queries = list(_queries(action, selection.query))
        if selection.text is None:
            counts = [self.overview.search.count(query) for query in queries]
            if None not in counts:
                return sum(count or 0 for count in counts), True
        found = len(list(islice(self._ids(action, selection), MAX_JOBS + 1)))
        return min(found, MAX_JOBS), found <= MAX_JOBS

    def run(self, action: BulkAction, selection: JobSelection, *, user: AdminUser) -> BulkResult:
        """Change at most MAX_JOBS jobs. Raises Forbidden, Unavailable."""
        user.require_write()
        ids = list(islice(self._ids(action, selection), MAX_JOBS + 1))
        change: Callable[[str], object] = {
            BulkAction.RETRY: self.job_actions.retry,
            BulkAction.CANCEL: self.job_actions.cancel,
            BulkAction.DELETE: self.job_actions.delete,
        }[action]
        done, refused = 0, []
        try:
            for job_id in ids[:MAX_JOBS]:
                try:
                    change(job_id)
                    done += 1
                except (Conflict, NotFound) as error:
                    refused.append((job_id, error.message))
        finally:
            record(self.overview.audit, user, action, str(selection), count=done)
        return BulkResult(done=done, refused=tuple(refused), has_more=len(ids) > MAX_JOBS)

    def _ids(self, action: BulkAction, selection: JobSelection) -> Iterator[str]:
        if selection.query is None:
            yield from selection.ids
            return
        for query in _queries(action, selection.query):
            cursor = None
            while True:
                page = self.overview.list(replace(query, cursor=cursor, limit=_PAGE), text=selection.text)
                yield from (job.id for job in page.jobs)
                cursor = page.cursor
                if cursor is None:
                    break


def select_jobs(ids: list[str], query: JobQuery | None, text: str | None) -> JobSelection:
    """A selection by ids or by a filter, never both. Raises BadRequest."""
    if bool(ids) == (query is not None):
        raise BadRequest("Select jobs either by their ids or by a filter.")
    if len(ids) > MAX_JOBS:
        raise BadRequest(f"Select at most {MAX_JOBS} ids.")
    return JobSelection(ids=tuple(dict.fromkeys(ids)), query=query, text=text or None)


def _queries(action: BulkAction, query: JobQuery) -> Iterator[JobQuery]:
    """One query for each state in which the action makes sense: each state has its own index."""
    for state in _STATES[action]:
        if not query.states or state in query.states:
            yield replace(query, states=frozenset({state}))
