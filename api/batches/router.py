"""The routes under /v1/batches: many recordings, one status, one webhook at the end."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentShare
from api.batches.schemas import BatchAcceptedView, BatchDetailView, BatchPageView, schema_of_new_batch
from api.batches.service import BatchService
from api.http.etag import POLLED, polled
from api.http.problems import documented
from api.http.request_body import JSON
from api.uploads.idempotency import IDEMPOTENCY_KEY
from shared.errors import Unauthenticated

BatchId = Annotated[str, Path(max_length=128, description="The batch's id.")]


def batches_router(acts: BatchService) -> APIRouter:
    """All routes about batches."""
    router = APIRouter(prefix="/v1/batches", tags=["batches"])

    @router.post(
        "",
        status_code=202,
        summary="Submit many recordings",
        response_model=BatchAcceptedView,
        openapi_extra={
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": {"required": True, "content": {JSON: {"schema": schema_of_new_batch()}}},
        },
        responses={
            202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
            **documented(400, 408, 409, 413, 422, 503),
        },
    )
    async def create(request: Request, caller: CurrentCaller, share: CurrentShare) -> Response:
        """All items become jobs, or none does: `422` names the first that can't, and nothing is created.

        Follow `Location`, or give `callback_url` and hear `batch.completed` when the last job has ended.
        """
        return await acts.create(request, caller, share)

    @router.get("", summary="List batches", responses=documented(400, 401, 422, 503))
    async def page(
        caller: CurrentCaller,
        cursor: Annotated[
            str | None, Query(max_length=200, description="`cursor` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> BatchPageView:
        """Your API key's batches, newest first. A short page may have a successor."""
        if caller.key_id is None:
            raise Unauthenticated("Listing batches needs an API key; without one, keep the ids of yours.")
        found = await run_in_threadpool(acts.batches.page, caller.key_id, cursor=cursor, limit=limit)
        return BatchPageView.of(found)

    @router.get(
        "/{batch_id}",
        summary="Read a batch",
        responses={**POLLED, **documented(404, 422, 503)},
        response_model=BatchDetailView,
    )
    async def read(
        batch_id: BatchId,
        caller: CurrentCaller,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """How far it is, and what became of each item. `GET /v1/jobs/{id}` has the reports."""
        view, again_seconds = await run_in_threadpool(acts.view, batch_id, caller)
        return polled(view, if_none_match, again_seconds=again_seconds)

    @router.post("/{batch_id}/cancel", summary="Cancel a batch", responses=documented(404, 409, 422, 503))
    async def cancel(batch_id: BatchId, caller: CurrentCaller) -> BatchDetailView:
        """All jobs that wait, at once; those that run stop within two seconds."""
        await run_in_threadpool(acts.cancel, batch_id, caller)
        return (await run_in_threadpool(acts.view, batch_id, caller))[0]

    @router.delete(
        "/{batch_id}", status_code=204, summary="Delete a batch", responses=documented(404, 422, 503)
    )
    async def delete(batch_id: BatchId, caller: CurrentCaller) -> Response:
        """Forget it with all its jobs and their audio at once; nobody is told."""
        await run_in_threadpool(acts.delete, batch_id, caller)
        return Response(status_code=204)

    return router
