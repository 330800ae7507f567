"""List, cancel, retry and delete jobs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.access import Caller, CurrentCaller, Scope
from api.bell import ring
from api.errors import documented
from api.moments import Moment
from api.schemas import JobPageView, JobView
from shared.errors import NotFound, Unauthenticated, Unavailable
from shared.job import Job
from shared.logs import get_logger
from shared.ports import AudioStore, JobQuery, JobQueue, JobStore
from shared.timeline import JobState

_log = get_logger(__name__)

JobId = Annotated[str, Path(max_length=128, description="The job's id.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What people do to jobs, whether by the API or in the dashboard. Blocking."""

    jobs: JobStore
    audio: AudioStore
    queue: JobQueue
    attempts: int
    keep_audio: bool
    forget_webhooks: Callable[[str], None]
    """What was said of a job to others, and what waits to be said."""

    def cancel(self, job_id: str) -> Job:
        """Cancel at once if it waits, within two seconds if it runs. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.cancel(now=time.time()))
        if job.state is JobState.CANCELED and job.source is None and not self.keep_audio:
            self._forget_audio(job)
        return job

    def retry(self, job_id: str) -> Job:
        """Queue a failed or dead job again. Raises Conflict, NotFound."""
        job = self.jobs.change(job_id, lambda job: job.retry(now=time.time(), attempts=self.attempts))
        ring(job, self.queue)
        return job

    def delete(self, job_id: str) -> None:
        """Forget the job, its audio and its webhooks, whatever its state. Raises NotFound."""
        self.jobs.get(job_id)
        self.jobs.remove(job_id)
        self.audio.delete(job_id)
        self.forget_webhooks(job_id)

    def _forget_audio(self, job: Job) -> None:
        try:
            self.audio.delete(job.id)
            self.jobs.change(job.id, Job.forget_audio)
        except (Unavailable, NotFound) as error:
            _log.warning("audio_not_deleted", job_id=job.id, why=error.message)


def acts_router(acts: Acts) -> APIRouter:
    """The routes that list and change jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    def may_change(job_id: str, caller: Caller) -> None:
        caller.check_changes(acts.jobs.get(job_id))

    @router.get("", summary="List jobs", responses=documented(400, 401, 422, 503))
    async def page(
        caller: CurrentCaller,
        state: Annotated[list[JobState] | None, Query(description="Only jobs in these states.")] = None,
        created_after: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
        created_before: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
        name: Annotated[
            str | None, Query(max_length=200, description="Part of the filename, in any case.")
        ] = None,
        cursor: Annotated[
            str | None, Query(max_length=200, description="`cursor` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> JobPageView:
        """Your API key's jobs, newest first, without their reports. A short page may have a successor."""
        query = JobQuery(
            owner=_owner(caller),
            states=frozenset(state or ()),
            created_after=created_after.timestamp() if created_after else None,
            created_before=created_before.timestamp() if created_before else None,
            name_contains=name,
            cursor=cursor,
            limit=limit,
        )
        return JobPageView.of(await run_in_threadpool(acts.jobs.page, query))

    @router.post("/{job_id}/cancel", summary="Cancel a job", responses=documented(404, 409, 422, 503))
    async def cancel(job_id: JobId, caller: CurrentCaller) -> JobView:
        """At once if it waits; a running one stops within two seconds and is still `running` here."""
        await run_in_threadpool(may_change, job_id, caller)
        return JobView.of(await run_in_threadpool(acts.cancel, job_id))

    @router.post(
        "/{job_id}/retry", status_code=202, summary="Retry a job", responses=documented(404, 409, 422, 503)
    )
    async def retry(job_id: JobId, caller: CurrentCaller) -> JobView:
        """Queue a failed or dead job again, while its audio is kept."""
        await run_in_threadpool(may_change, job_id, caller)
        return JobView.of(await run_in_threadpool(acts.retry, job_id))

    @router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=documented(404, 422, 503))
    async def delete(job_id: JobId, caller: CurrentCaller) -> Response:
        """Forget the job and its audio at once; a running one is stopped."""
        await run_in_threadpool(may_change, job_id, caller)
        await run_in_threadpool(acts.delete, job_id)
        return Response(status_code=204)

    return router


def _owner(caller: Caller) -> str | None:
    """Whose jobs are listed: nobody may list the jobs of the anonymous, whose ids are their secrets."""
    if Scope.ADMIN_READ in caller.scopes:
        return None
    if caller.key_id is None:
        raise Unauthenticated("Listing jobs needs an API key; without one, keep the ids of your jobs.")
    return caller.key_id
