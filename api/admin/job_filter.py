"""The filter and the order of the dashboard's lists of jobs, as query parameters and in links."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from fastapi import Depends, Query

from api.http.schemas import Moment
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import TuningReport, Verdict
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


NATURAL_ORDERS = (
    "newest",
    "file",
    "state",
    "-result",
    "-size",
    "-duration",
    "queue",
    "worker",
    "key",
    "-attempts",
    "reason",
)
"""The order that a first click on each column of a list of jobs gives. A minus: descending."""


@dataclass(frozen=True, slots=True)
class JobOrder:
    """The column by which a list of jobs is sorted."""

    column: str
    is_descending: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `newest`, `oldest`, `starts`, or a column such as `size` or `-size`. Raises BadRequest."""
        if text in {"newest", "oldest"}:
            return cls("submitted", text == "newest")
        column = text.removeprefix("-")
        columns = ["starts", *(order.removeprefix("-") for order in NATURAL_ORDERS[1:])]
        if column not in columns:
            raise BadRequest(f"Unknown `sort`. Valid values: newest, oldest, {', '.join(columns)}.")
        return cls(column, text.startswith("-"))

    @property
    def reversed(self) -> Self:
        """The same column, the other way round."""
        return replace(self, is_descending=not self.is_descending)

    def apply(self, jobs: Iterable[Job], results: Mapping[str, TuningReport]) -> list[Job]:
        """The jobs in this order; jobs without a value come last, and equal ones stay as they are."""
        pairs = [(_value(job, self.column, results.get(job.id)), job) for job in jobs]
        known = [(value, job) for value, job in pairs if value is not None]
        known.sort(key=itemgetter(0), reverse=self.is_descending)
        return [job for _, job in known] + [job for value, job in pairs if value is None]

    def __str__(self) -> str:
        if self.column == "submitted":
            return "newest" if self.is_descending else "oldest"
        return f"-{self.column}" if self.is_descending else self.column


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPosition:
    """Which page of a list of jobs to show, and in which order."""

    cursor: str | None = None
    """Where a page begins; in an order by another column than time: how many jobs are before it."""
    before: bool = False
    """Whether the page ends at the cursor, instead of beginning there."""
    order: JobOrder | None = None
    """None: the order of this list that needs no choice."""

    def applied_to(self, query: JobQuery) -> JobQuery:
        """The query for this page of a list that is sorted by time."""
        oldest_first = self.order is not None and not self.order.is_descending
        return replace(query, cursor=self.cursor, before=self.before, oldest_first=oldest_first)

    @property
    def offset(self) -> int:
        """How many jobs are before this page of a list that is sorted by a column. Raises BadRequest."""
        text = self.cursor or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 7):
            raise BadRequest("The cursor is invalid. Start again without a cursor.")
        return int(text)


def list_position(
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    before: bool = False,
    sort: Annotated[str | None, Query(max_length=20)] = None,
) -> ListPosition:
    """Read the position from the query string."""
    return ListPosition(cursor=cursor, before=before, order=JobOrder.parse(sort) if sort else None)


def _value(job: Job, column: str, result: TuningReport | None) -> Any:
    """What a list is sorted by; None: the job has no such value."""
    match column:
        case "file":
            return _natural(job.input.filename) if job.input.filename else None
        case "result":
            return result.a4_hz if result and result.verdict is not Verdict.INCONCLUSIVE else None
        case "size":
            return job.input.size_bytes
        case "duration":
            return job.run_seconds
        case "worker":
            return job.timeline[-1].worker if job.timeline else None
        case "key":
            return job.owner
        case "reason":
            return job.problem.code if job.problem else None
        case "starts":
            return job.due_at
        case "submitted":
            return job.created_at
        case _:
            return getattr(job, column)


def _natural(name: str) -> list[tuple[float, str]]:
    """A key that puts `take 9` before `take 10`, digits before letters, without regard to case."""
    pairs = re.findall(r"([0-9]+)|([^0-9]+)", name.casefold())
    return [
        (len(digits.lstrip("0")), digits.lstrip("0")) if digits else (math.inf, text)
        for digits, text in pairs
    ]


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
