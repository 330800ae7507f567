"""Answers new jobs from earlier reports of the same bytes. Can be turned off."""

from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.report_cache import report_cache_key
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import ReportIndex

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCache:
    """Looks up reports by what was analyzed and how."""

    index: ReportIndex | None
    """None: every upload is analyzed."""
    window_seconds: float

    async def answer(self, job: Job) -> Job:
        """Return the job, succeeded if an earlier job of its caller has a report of the same bytes."""
        key = report_cache_key(job, window_seconds=self.window_seconds)
        if self.index is None or key is None:
            return job
        now = store_time()
        try:
            report = await run_in_threadpool(self.index.find, key, now=now)
        except Unavailable as error:
            _log.warning("report_lookup_failed", reason=error.message)
            return job
        return job if report is None else job.succeed_from_cache(report, now=now)
