"""POST /v1/jobs and POST /v1/uploads: the three ways in for one recording."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentQuota, CurrentUpload
from api.http.prefer import PREFER, Preferences
from api.http.problems import documented
from api.http.request_body import JSON, is_json, read_json
from api.http.templating import wants_page
from api.jobs.reader import JobReader
from api.jobs.schemas import AcceptedView
from api.uploads.idempotency import IDEMPOTENCY_KEY
from api.uploads.options import DEFAULT_QUEUE, QUEUE, JobSource
from api.uploads.presigned import PresignedUploadService
from api.uploads.receiving.body import FORM, RAW
from api.uploads.receiving.content_digest import CONTENT_DIGEST
from api.uploads.receiving.receiver import NO_BODY_LIMIT
from api.uploads.schemas import CreateUpload, PresignedUploadView
from api.uploads.service import NewTimeout, UploadService
from api.uploads.source_url import SourceUrlService
from api.uploads.waiting import SubmitQuery, finished
from api.webhooks.callback import FORM_FIELDS

_FILE = {"type": "string", "format": "binary", "description": "The audio file."}
_FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": _FILE,
        "start_seconds": {
            "type": "number",
            "minimum": 0,
            "description": "Where the 60-second window begins.",
        },
        "queue": {
            "type": "string",
            "enum": ["interactive", "batch"],
            "default": DEFAULT_QUEUE,
            "description": QUEUE,
        },
        **FORM_FIELDS,
    },
}
_SUBMIT = {
    "parameters": [IDEMPOTENCY_KEY, CONTENT_DIGEST, PREFER],
    "requestBody": {
        "required": True,
        "content": {
            FORM: {"schema": _FORM_SCHEMA},
            "audio/*": {"schema": _FILE},
            RAW: {"schema": _FILE},
            JSON: {"schema": JobSource.model_json_schema()},
        },
    },
}
_PRESIGN = {
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {"required": True, "content": {JSON: {"schema": CreateUpload.model_json_schema()}}},
}


def presigned_router(presigned: PresignedUploadService, *, new_timeout: NewTimeout) -> APIRouter:
    """POST /v1/uploads."""
    router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

    @router.post(
        "",
        status_code=201,
        summary="Create a presigned upload",
        response_model=PresignedUploadView,
        openapi_extra=_PRESIGN,
        responses=documented(400, 408, 409, 413, 415, 422, 503),
    )
    async def create(request: Request, caller: CurrentCaller, quota: CurrentQuota) -> Response:
        """Send the file straight to storage, in one request or in parts. A browser may send it, too.

        Then submit it with `POST /v1/jobs`. An upload that is not submitted in time is removed.
        """
        options, raw = await read_json(request, CreateUpload, timeout=new_timeout())
        return await presigned.create(request, caller, options, raw, quota)

    return router


def submit_router(
    uploads: UploadService,
    *,
    presigned: PresignedUploadService,
    source_urls: SourceUrlService,
    reader: JobReader,
) -> APIRouter:
    """POST /v1/jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post(
        "",
        status_code=202,
        summary="Upload a recording",
        openapi_extra=_SUBMIT,
        response_model=AcceptedView,
        max_body_size=NO_BODY_LIMIT,
        responses={
            200: {"description": "The finished job, for a request that waits.", "model": AcceptedView},
            202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
            303: {"description": "The page of the result, for a form that a browser sends."},
            **documented(400, 404, 408, 409, 413, 415, 422, 503),
        },
    )
    async def submit(
        request: Request,
        caller: CurrentCaller,
        slot: CurrentUpload,
        quota: CurrentQuota,
        query: Annotated[SubmitQuery, Query()],
    ) -> Response:
        """Send the audio as the `file` field of a form, or as the body itself. Or send JSON with an
        `upload_id`, or with a `source_url` for a worker to fetch.

        The response comes as soon as the job is recorded. Follow its `Location`, or use `wait` to get the
        finished job in this response.
        """
        if is_json(request):
            options, raw = await read_json(request, JobSource, timeout=uploads.new_timeout())
            options.require_one_source()
            options = options.over(query)
            if options.upload_id is not None:
                response = await run_in_threadpool(presigned.submit, options.upload_id, caller, options)
            else:
                response = await source_urls.submit(request, caller, options, raw, quota)
        else:
            response = await uploads.upload(request, caller, query, slot)
        if wants_page(request):
            return RedirectResponse(response.headers["location"].removeprefix("/v1"), status_code=303)
        await slot.leave()  # a waiting request is not an upload anymore
        preferences = Preferences.parse(request.headers.getlist("prefer"))
        return await finished(response, reader, query, preferences)

    return router
