"""Which jobs an action is for: some by their ids, or all that match a filter."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from api.admin.overview import Overview
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import BadRequest, NotFound
from shared.ports.jobs import JobQuery

MAX_IDS = 1000
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

    def jobs(self, action: BulkAction, overview: Overview) -> Iterator[Job]:
        """The selected jobs in whose state the action makes sense, without their reports."""
        if self.query is None:
            yield from self._jobs_by_id(action, overview)
            return
        for query in _queries(action, self.query):
            cursor = None
            while True:
                page = overview.list(replace(query, cursor=cursor, limit=_PAGE), text=self.text)
                yield from page.jobs
                cursor = page.cursor
                if cursor is None:
                    break

    def _jobs_by_id(self, action: BulkAction, overview: Overview) -> Iterator[Job]:
        for job_id in self.ids:
            try:
                job = overview.jobs.get(job_id)
            except NotFound:
                continue
            if job.state in _STATES[action]:
                yield job

    def __str__(self) -> str:
        if self.query is None:
            return ", ".join(self.ids[:3]) + (", …" if len(self.ids) > 3 else "")
        query = self.query
        conditions = [
            f"state {', '.join(sorted(query.states))}" if query.states else "",
            f"reason {query.reason}" if query.reason else "",
            f"worker {query.worker}" if query.worker else "",
            f"API key {query.owner}" if query.owner else "",
            f"queue {query.queue}" if query.queue else "",
            f"batch {query.batch_id}" if query.batch_id else "",
            f"verdict {query.verdict}" if query.verdict else "",
            f"run time of {query.min_run_seconds:g} s or more" if query.min_run_seconds else "",
            f"name “{self.text}”" if self.text else "",
            "a time range" if query.created_after or query.created_before else "",
        ]
        return "all with " + "; ".join(filter(None, conditions)) if any(conditions) else "all"


def select_jobs(ids: list[str], query: JobQuery | None, text: str | None) -> JobSelection:
    """A selection by ids or by a filter, never both. Raises BadRequest."""
    if bool(ids) == (query is not None):
        raise BadRequest("Select jobs either by their ids or by a filter.")
    if len(ids) > MAX_IDS:
        raise BadRequest(f"Select at most {MAX_IDS} ids.")
    return JobSelection(ids=tuple(dict.fromkeys(ids)), query=query, text=text or None)


def _queries(action: BulkAction, query: JobQuery) -> Iterator[JobQuery]:
    """One query for each state in which the action makes sense: each state has its own index."""
    for state in _STATES[action]:
        if not query.states or state in query.states:
            yield replace(query, states=frozenset({state}))
