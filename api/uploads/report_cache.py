"""Whether a new job's song was analysed before, so that nothing must be kept of it. Can be turned off."""

import time
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from shared.domain.job import Job
from shared.domain.report_cache import report_cache_key
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import ReportIndex

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCache:
    """Answers new jobs from earlier ones."""

    recall: ReportIndex | None
    """None: every upload is analysed."""
    window_seconds: float

    async def answered(self, job: Job) -> Job:
        """The same job, ended if its caller's earlier job has the report of the same bytes."""
        key = report_cache_key(job, window_seconds=self.window_seconds)
        if self.recall is None or key is None:
            return job
        now = time.time()
        try:
            report = await run_in_threadpool(self.recall.find, key, now=now)
        except Unavailable as error:
            _log.warning("not_recalled", why=error.message)
            return job
        return job if report is None else job.succeed_from_cache(report, now=now)
