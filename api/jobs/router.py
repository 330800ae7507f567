"""Read, list, cancel, retry and delete jobs: the routes under /v1/jobs, except those that create a job."""

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

_MAX_WAIT_SECONDS = 30
_REREAD_SECONDS = 5.0
"""How often a waiting request reads the job, although no update arrived: the connection may have lost it."""


def jobs_router(
    *, jobs: JobStore, updates: JobUpdates, webhooks: WebhookService, wait_estimate: WaitEstimate
) -> APIRouter:
    """The route that reads one job."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    def detail_view(job: Job) -> JobDetailView:
        position = jobs.queue_position(job) if job.state is JobState.QUEUED else None
        wait_seconds = wait_estimate.wait_seconds(job, position)
        view = JobView.of(job, queue_position=position, queue_wait_seconds=wait_seconds)
        return JobDetailView.with_deliveries(view, webhooks.deliveries_of_job(job))

    @router.get(
        "/{job_id}",
        summary="Get a job",
        responses={**POLLED, **documented(404, 422, 503)},
        response_model=JobDetailView,
    )
    async def get_job(
        job_id: JobId,
        caller: CurrentCaller,
        wait: Annotated[
            float,
            Query(
                ge=0,
                le=_MAX_WAIT_SECONDS,
                description="Respond when the job is final, or after this many seconds.",
            ),
        ] = 0,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The job's state, and its report once it has succeeded."""
        caller.check_sees(await run_in_threadpool(jobs.get, job_id))
        job = await _wait_until_final(job_id, jobs=jobs, updates=updates, seconds=wait)
        view = await run_in_threadpool(detail_view, job)
        retry_seconds = None if job.state.is_final else 1 + (view.queue_wait_seconds or 0)
        return polled(view, if_none_match, again_seconds=retry_seconds)

    return router


async def _wait_until_final(job_id: str, *, jobs: JobStore, updates: JobUpdates, seconds: float) -> Job:
    deadline = time.monotonic() + seconds
    with updates.subscribe(job_id) as subscription:
        while True:
            subscription.clear()
            job = await run_in_threadpool(jobs.get, job_id)
            remaining = deadline - time.monotonic()
            if job.state.is_final or remaining <= 0 or subscription.closing:
                return job
            await subscription.wait(min(_REREAD_SECONDS, remaining))


def job_actions_router(actions: JobActions) -> APIRouter:
    """The routes that list and change jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.get("", summary="List jobs", responses=documented(400, 401, 422, 503))
    def list_jobs(
        caller: CurrentCaller,
        state: Annotated[list[JobState] | None, Query(description="Only jobs in these states.")] = None,
        created_after: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
        created_before: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
        name: Annotated[
            str | None, Query(max_length=200, description="Part of the filename. Ignores case.")
        ] = None,
        cursor: Annotated[
            str | None, Query(max_length=200, description="The `cursor` of the previous page.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> JobPageView:
        """The jobs of your API key, newest first, without their reports.

        A page may hold fewer jobs than `limit`. Only the last page has no `cursor`.
        """
        query = JobQuery(
            owner=_owner(caller),
            states=frozenset(state or ()),
            created_after=created_after.timestamp() if created_after else None,
            created_before=created_before.timestamp() if created_before else None,
            name_contains=name,
            cursor=cursor,
            limit=limit,
        )
        return JobPageView.of(actions.jobs.page(query))

    @router.post("/{job_id}/cancel", summary="Cancel a job", responses=documented(404, 409, 422, 503))
    def cancel_job(job_id: JobId, caller: CurrentCaller) -> JobView:
        """Cancels a queued job now. A running job stops within two seconds; the response says `running`."""
        caller.check_changes(actions.jobs.get(job_id))
        return JobView.of(actions.cancel(job_id))

    @router.post(
        "/{job_id}/retry", status_code=202, summary="Retry a job", responses=documented(404, 409, 422, 503)
    )
    def retry_job(job_id: JobId, caller: CurrentCaller) -> JobView:
        """Queues a failed or dead job again, if its audio still exists."""
        caller.check_changes(actions.jobs.get(job_id))
        return JobView.of(actions.retry(job_id))

    @router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=documented(404, 422, 503))
    def delete_job(job_id: JobId, caller: CurrentCaller) -> Response:
        """Deletes the job and its audio. Stops it if it is running."""
        caller.check_changes(actions.jobs.get(job_id))
        actions.delete(job_id)
        return Response(status_code=204)

    return router


def _owner(caller: Caller) -> str | None:
    """Whose jobs to list. A caller without a key can't list jobs: their ids are their only protection."""
    if Scope.ADMIN_READ in caller.scopes:
        return None
    if caller.key_id is None:
        raise Unauthenticated("Listing jobs requires an API key. Without one, keep the ids of your jobs.")
    return caller.key_id
