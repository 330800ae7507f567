"""The routes under /v1/batches: many recordings, one status, one webhook at the end."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentQuota
from api.batches.reader import BatchReader
from api.batches.schemas import (
    BatchAcceptedView,
    BatchDetailView,
    BatchPageView,
    CreateBatch,
)
from api.batches.service import BatchService
from api.http.etag import IF_NONE_MATCH, POLLED, polled
from api.http.openapi import json_body
from api.http.problems import documented
from api.http.provided import provided
from api.uploads.idempotency import IDEMPOTENCY_KEY
from shared.errors import Unauthenticated

BatchId = Annotated[str, Path(max_length=128, description="The batch's id.")]
Batches = Annotated[BatchService, provided(BatchService)]
Reader = Annotated[BatchReader, provided(BatchReader)]

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.post(
    "",
    status_code=202,
    summary="Create a batch",
    response_model=BatchAcceptedView,
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": json_body(CreateBatch),
    },
    responses={
        202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
        **documented(400, 408, 409, 413, 422, 503),
    },
)
async def create_batch(
    request: Request, caller: CurrentCaller, reader: Reader, service: Batches, quota: CurrentQuota
) -> Response:
    """Either all items become jobs or none does. `422` names the first item that can't be a job.

    Follow `Location`, or set `callback_url` to receive `batch.completed` when the last job has finished.
    """
    new, raw = await reader.read(request)
    return await service.create(request, caller, new, raw, quota)


@router.get("", summary="List batches", responses=documented(400, 401, 422, 503))
def list_batches(
    caller: CurrentCaller,
    service: Batches,
    cursor: Annotated[
        str | None, Query(max_length=200, description="The `cursor` of the previous page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> BatchPageView:
    """Your API key's batches, newest first. A page may be short and still have a `cursor`."""
    if caller.key_id is None:
        raise Unauthenticated("Listing batches needs an API key. Without one, keep the ids of your batches.")
    return BatchPageView.of(service.batches.page(caller.key_id, cursor=cursor, limit=limit))


@router.get(
    "/{batch_id}",
    summary="Get a batch",
    responses={**POLLED, **documented(404, 422, 503)},
    response_model=BatchDetailView,
    openapi_extra=IF_NONE_MATCH,
)
def get_batch(
    request: Request,
    batch_id: BatchId,
    caller: CurrentCaller,
    service: Batches,
) -> Response:
    """The progress of a batch and the outcome of each item. `GET /v1/jobs/{id}` has the reports."""
    view, again_seconds = service.view(batch_id, caller)
    return polled(view, request.headers.getlist("if-none-match"), again_seconds=again_seconds)


@router.post("/{batch_id}/cancel", summary="Cancel a batch", responses=documented(404, 409, 422, 503))
def cancel_batch(batch_id: BatchId, caller: CurrentCaller, service: Batches) -> BatchDetailView:
    """Queued jobs are canceled at once. Running jobs stop within two seconds."""
    service.cancel(batch_id, caller)
    return service.view(batch_id, caller)[0]


@router.delete("/{batch_id}", status_code=204, summary="Delete a batch", responses=documented(404, 422, 503))
def delete_batch(batch_id: BatchId, caller: CurrentCaller, service: Batches) -> Response:
    """Deletes the batch with all its jobs and their audio at once. No webhook is sent."""
    service.delete(batch_id, caller)
    return Response(status_code=204)
