"""Submit a recording, read its job. The whole public API on one screen."""

import time
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller, CurrentCaller
from api.http.etag import POLLED, polled
from api.http.problems import documented
from api.http.schemas import JobId, Moment
from api.jobs.schemas import JobDetailView, JobPageView
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates
from api.jobs.wait_estimate import WaitEstimate
from api.webhooks.service import WebhookService
from shared.domain.api_key import Scope
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import Unauthenticated
from shared.ports.jobs import JobQuery, JobStore
from shared.schemas.job import JobView

_LONGEST_WAIT_SECONDS = 30
_LOOK_AGAIN_SECONDS = 5.0
"""A wake-up may be lost with a connection to Redis, not more than so long."""


def jobs_router(
    *, jobs: JobStore, wakeups: JobUpdates, webhooks: WebhookService, forecast: WaitEstimate
) -> APIRouter:
    """The routes under /v1/jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.get(
        "/{job_id}",
        summary="Read a job",
        responses={**POLLED, **documented(404, 422, 503)},
        response_model=JobDetailView,
    )
    async def read(
        job_id: JobId,
        caller: CurrentCaller,
        wait: Annotated[
            float,
            Query(ge=0, le=_LONGEST_WAIT_SECONDS, description="Answer when final, or after so many seconds."),
        ] = 0,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Where the job stands; with `wait`, as soon as it is done."""
        caller.check_sees(await run_in_threadpool(jobs.get, job_id))
        job = await _until_final(job_id, jobs=jobs, wakeups=wakeups, wait_seconds=wait)
        position = await run_in_threadpool(jobs.queue_position, job) if job.state is JobState.QUEUED else None
        wait_seconds = await run_in_threadpool(forecast.wait_seconds, job, position)
        view = JobView.of(job, queue_position=position, queue_wait_seconds=wait_seconds)
        told = await run_in_threadpool(webhooks.of_job, job)
        again = None if job.state.is_final else 1 + (wait_seconds or 0)
        return polled(JobDetailView.beside(view, told), if_none_match, again_seconds=again)

    return router


async def _until_final(job_id: str, *, jobs: JobStore, wakeups: JobUpdates, wait_seconds: float) -> Job:
    deadline = time.monotonic() + wait_seconds
    with wakeups.listen(job_id) as listener:
        while True:
            listener.expect()
            job = await run_in_threadpool(jobs.get, job_id)
            left = deadline - time.monotonic()
            if job.state.is_final or left <= 0 or listener.ending:
                return job
            await listener.wait(min(_LOOK_AGAIN_SECONDS, left))


def job_actions_router(acts: JobActions) -> APIRouter:
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
