"""The job filter of the dashboard: from query parameters to a JobQuery, and back to a link."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from api.http.schemas import Moment
from shared.clock import store_time
from shared.domain.job_state import JobState
from shared.domain.report import Verdict
from shared.errors import BadRequest
from shared.ports.jobs import JobQuery

SINCE_SECONDS = {"hour": 3600, "day": 86_400, "week": 7 * 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """The filter that a person chose."""

    state: JobState | None = None
    reason: str | None = None
    worker: str | None = None
    owner: str | None = None
    """The id of an API key."""
    queue: str | None = None
    batch: str | None = None
    """The id of a batch."""
    verdict: Verdict | None = None
    min_seconds: float | None = None
    """The shortest run time."""
    since: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    q: str | None = None

    def query(self, *, cursor: str | None = None, limit: int = 25) -> JobQuery:
        """The query for the job store, newest first."""
        after = self.created_after
        if after is None and self.since in SINCE_SECONDS:
            after = store_time() - SINCE_SECONDS[self.since]
        return JobQuery(
            states=frozenset({self.state} if self.state else ()),
            reason=self.reason,
            worker=self.worker,
            owner=self.owner,
            queue=self.queue,
            batch_id=self.batch,
            verdict=self.verdict,
            min_run_seconds=self.min_seconds,
            created_after=after,
            created_before=self.created_before,
            cursor=cursor,
            limit=limit,
        )

    def fields(self) -> dict[str, str]:
        """The filter as form fields; empty ones are left out."""
        fields = {
            "state": self.state,
            "reason": self.reason,
            "worker": self.worker,
            "owner": self.owner,
            "queue": self.queue,
            "batch": self.batch,
            "verdict": self.verdict,
            "min_seconds": None if self.min_seconds is None else f"{self.min_seconds:g}",
            "since": self.since,
            "created_after": _rfc3339(self.created_after),
            "created_before": _rfc3339(self.created_before),
            "q": self.q,
        }
        return {name: str(value) for name, value in fields.items() if value}

    def link(self, path: str = "/admin/jobs", **extra: str) -> str:
        """The address of the page that shows these jobs."""
        fields = self.fields() | extra
        return f"{path}?{urlencode(fields)}" if fields else path


def job_filter(
    state: Annotated[str | None, Query(max_length=30, description="Only jobs in this state.")] = None,
    reason: Annotated[
        str | None, Query(max_length=60, description="A problem code, such as `no_audio`.")
    ] = None,
    worker: Annotated[
        str | None, Query(max_length=200, description="The worker that last ran the job.")
    ] = None,
    owner: Annotated[str | None, Query(max_length=100, description="The id of an API key.")] = None,
    queue: Annotated[str | None, Query(max_length=100, description="Only jobs of this queue.")] = None,
    batch: Annotated[str | None, Query(max_length=128, description="The id of a batch.")] = None,
    verdict: Annotated[str | None, Query(max_length=20, description="Only jobs with this verdict.")] = None,
    min_seconds: Annotated[
        str | None, Query(max_length=12, description="Only jobs that ran at least this long.")
    ] = None,
    since: Annotated[str | None, Query(max_length=10, description="hour, day or week.")] = None,
    created_after: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
    created_before: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="An id, a SHA-256, or words of the filename.")
    ] = None,
) -> JobFilter:
    """Read the filter from the query string. Empty fields, as forms send them, filter nothing.

    A wrong value raises BadRequest, so that "delete all that match" never matches more than was meant.
    """
    if state and state not in set(JobState):
        raise BadRequest(f"Unknown state `{state[:30]}`. Valid states: {', '.join(JobState)}.")
    if since and since not in SINCE_SECONDS:
        raise BadRequest(f"Unknown `since`. Valid values: {', '.join(SINCE_SECONDS)}.")
    if verdict and verdict not in set(Verdict):
        raise BadRequest(f"Unknown verdict `{verdict[:20]}`. Valid verdicts: {', '.join(Verdict)}.")
    return JobFilter(
        state=JobState(state) if state else None,
        reason="_".join(reason.lower().split()) if reason else None,
        worker=worker or None,
        owner=owner or None,
        queue=queue or None,
        batch=batch or None,
        verdict=Verdict(verdict) if verdict else None,
        min_seconds=_seconds(min_seconds) if min_seconds else None,
        since=since or None,
        created_after=created_after.timestamp() if created_after else None,
        created_before=created_before.timestamp() if created_before else None,
        q=(q or "").strip() or None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPosition:
    """Which page of a list of jobs to show, and in which order."""

    cursor: str | None = None
    before: bool = False
    """Whether the page ends at the cursor, instead of beginning there."""
    oldest_first: bool = False

    def applied_to(self, query: JobQuery) -> JobQuery:
        """The query for this page."""
        return replace(query, cursor=self.cursor, before=self.before, oldest_first=self.oldest_first)


def list_position(
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    before: bool = False,
    sort: Literal["newest", "oldest"] = "newest",
) -> ListPosition:
    """Read the position from the query string."""
    return ListPosition(cursor=cursor, before=before, oldest_first=sort == "oldest")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BadRequest("`min_seconds` must be a number of seconds, such as 2.5.")
    return seconds


def _rfc3339(timestamp: float | None) -> str | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC).isoformat()


CurrentFilter = Annotated[JobFilter, Depends(job_filter)]

CurrentPosition = Annotated[ListPosition, Depends(list_position)]
