"""The dashboard's filter of jobs: from an address to a question, and back to an address."""

import time
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query

from api.http.schemas import Moment
from shared.domain.job_state import JobState
from shared.errors import BadRequest
from shared.ports.jobs import JobQuery

SINCE_SECONDS = {"hour": 3600, "day": 86_400, "week": 7 * 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What a person chose."""

    state: JobState | None = None
    reason: str | None = None
    worker: str | None = None
    since: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    q: str | None = None

    def query(self, *, cursor: str | None = None, limit: int = 25) -> JobQuery:
        """The question to the store."""
        after = self.created_after
        if after is None and self.since in SINCE_SECONDS:
            after = time.time() - SINCE_SECONDS[self.since]
        return JobQuery(
            states=frozenset({self.state} if self.state else ()),
            reason=self.reason,
            worker=self.worker,
            created_after=after,
            created_before=self.created_before,
            cursor=cursor,
            limit=limit,
        )

    def fields(self) -> dict[str, str]:
        """What is chosen, as fields of a form."""
        given = {
            "state": self.state,
            "reason": self.reason,
            "worker": self.worker,
            "since": self.since,
            "q": self.q,
        }
        return {name: str(value) for name, value in given.items() if value}

    def address(self, path: str = "/admin/jobs", **more: str) -> str:
        """The page of these jobs."""
        fields = self.fields() | more
        return f"{path}?{urlencode(fields)}" if fields else path


async def job_filter(
    state: Annotated[str | None, Query(max_length=30, description="Only jobs in this state.")] = None,
    reason: Annotated[str | None, Query(max_length=60, description="The code of the problem.")] = None,
    worker: Annotated[str | None, Query(max_length=200, description="Who had the job last.")] = None,
    since: Annotated[str | None, Query(max_length=10, description="hour, day or week.")] = None,
    created_after: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
    created_before: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="An id, a SHA-256, or words of the filename.")
    ] = None,
) -> JobFilter:
    """The filter in the address. Empty fields, as forms send them, choose nothing; wrong ones are refused,
    for an act on all that match must never meet more than was meant. Raises BadRequest.
    """
    if state and state not in set(JobState):
        raise BadRequest(f"There is no state {state[:30]}; there are {', '.join(JobState)}.")
    if since and since not in SINCE_SECONDS:
        raise BadRequest(f"since is one of {', '.join(SINCE_SECONDS)}.")
    return JobFilter(
        state=JobState(state) if state else None,
        reason=reason or None,
        worker=worker or None,
        since=since or None,
        created_after=created_after.timestamp() if created_after else None,
        created_before=created_before.timestamp() if created_before else None,
        q=(q or "").strip() or None,
    )
