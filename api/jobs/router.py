"""Read, list, cancel, retry and delete jobs: the routes under /v1/jobs, except those that create a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller, CurrentCaller
from api.http.etag import IF_NONE_MATCH, POLLED, polled
from api.http.prefer import MAX_WAIT_SECONDS, PREFER, Preferences
from api.http.problems import documented
from api.http.provided import provided
from api.http.schemas import JobId, Moment
from api.jobs.reader import JobReader
from api.jobs.schemas import PICTURES, JobDetailView, JobPageView
from api.jobs.service import JobActions
from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from shared.errors import Unauthenticated
from shared.ports.jobs import JobQuery
from shared.schemas.job import JobView

Reader = Annotated[JobReader, provided(JobReader)]
Actions = Annotated[JobActions, provided(JobActions)]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get(
    "/{job_id}",
    summary="Get a job",
    responses={**POLLED, **documented(404, 422, 503)},
    response_model=JobDetailView,
    openapi_extra={"parameters": [*IF_NONE_MATCH["parameters"], PREFER]},
)
async def get_job(
    request: Request,
    job_id: JobId,
    caller: CurrentCaller,
    reader: Reader,
    wait: Annotated[
        float | None,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            allow_inf_nan=False,
            description="Respond when the job is final, or after this many seconds.",
        ),
    ] = None,
    pictures: Annotated[bool, Query(description=PICTURES)] = True,
) -> Response:
    """The job's state, and its report once it has succeeded."""
    caller.check_can_read(await run_in_threadpool(reader.jobs.get, job_id))
    preferences = Preferences.parse(request.headers.getlist("prefer"))
    seconds = (preferences.wait_seconds or 0) if wait is None else wait
    job = await reader.wait_until_final(job_id, seconds=seconds)
    view = await run_in_threadpool(reader.detail, job, pictures=pictures)
    retry_seconds = None if job.state.is_final else 1 + (view.queue_wait_seconds or 0)
    response = polled(view, request.headers.getlist("if-none-match"), again_seconds=retry_seconds)
    if wait is None:
        response.headers.update(preferences.applied(accepted=False))
    return response


@router.get("", summary="List jobs", responses=documented(400, 401, 422, 503))
def list_jobs(
    caller: CurrentCaller,
    actions: Actions,
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
def cancel_job(job_id: JobId, caller: CurrentCaller, actions: Actions) -> JobView:
    """Cancels a queued job now. A running job stops within two seconds; the response says `running`."""
    caller.check_can_change(actions.jobs.get(job_id))
    return JobView.of(actions.cancel(job_id))


@router.post(
    "/{job_id}/retry", status_code=202, summary="Retry a job", responses=documented(404, 409, 422, 503)
)
def retry_job(job_id: JobId, caller: CurrentCaller, actions: Actions) -> JobView:
    """Queues a failed or dead job again, if its audio still exists."""
    caller.check_can_change(actions.jobs.get(job_id))
    return JobView.of(actions.retry(job_id))


@router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=documented(404, 422, 503))
def delete_job(job_id: JobId, caller: CurrentCaller, actions: Actions) -> Response:
    """Deletes the job and its audio. Stops it if it is running."""
    caller.check_can_change(actions.jobs.get(job_id))
    actions.delete(job_id)
    return Response(status_code=204)


def _owner(caller: Caller) -> str | None:
    """Whose jobs to list. A caller without a key can't list jobs: their ids are their only protection."""
    if Scope.ADMIN_READ in caller.scopes:
        return None
    if caller.key_id is None:
        raise Unauthenticated("Listing jobs requires an API key. Without one, keep the ids of your jobs.")
    return caller.key_id
