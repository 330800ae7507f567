"""POST /v1/jobs and POST /v1/uploads: the three ways in for one recording."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from api.access.authentication import Caller, CurrentCaller
from api.access.upload_quota import CurrentQuota, CurrentUpload, QuotaReservation
from api.http.openapi import json_body
from api.http.prefer import PREFER, Preferences
from api.http.problems import documented
from api.http.provided import provided
from api.http.request_body import is_json, read_json
from api.http.templating import wants_page
from api.jobs.reader import JobReader
from api.jobs.schemas import AcceptedView
from api.uploads.idempotency import IDEMPOTENCY_KEY
from api.uploads.options import (
    DEFAULT_QUEUE,
    QUEUE,
    JobFromUpload,
    JobFromUrl,
    JobOptions,
    JobSource,
)
from api.uploads.presigned import PresignedUploadService
from api.uploads.receiving.body import FORM, RAW
from api.uploads.receiving.content_digest import CONTENT_DIGEST
from api.uploads.receiving.receiver import NO_BODY_LIMIT
from api.uploads.schemas import CreateUpload, PresignedUploadView
from api.uploads.service import UploadService
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
            "pattern": "^(interactive|batch)$",  # an enum of the same name would clash with the query's
            "default": DEFAULT_QUEUE,
            "description": QUEUE,
        },
        **FORM_FIELDS,
    },
}
_CREATE = {
    "parameters": [IDEMPOTENCY_KEY, CONTENT_DIGEST, PREFER],
    "requestBody": {
        "required": True,
        "content": {FORM: {"schema": _FORM_SCHEMA}, RAW: {"schema": _FILE}},
    },
}
_WITH_LOCATION = {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The finished job, for a request that waits.", "model": AcceptedView},
    202: {"description": "The new job. Poll its `Location`.", "headers": _WITH_LOCATION},
}


def _json_operation(model: type[BaseModel]) -> dict[str, Any]:
    return {"parameters": [IDEMPOTENCY_KEY, PREFER], "requestBody": json_body(model)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCreation:
    """The ways to create a job of one recording."""

    uploads: UploadService
    presigned: PresignedUploadService
    source_urls: SourceUrlService
    reader: JobReader

    async def from_json(
        self,
        request: Request,
        caller: Caller,
        quota: QuotaReservation,
        query: SubmitQuery,
        model: type[JobOptions] = JobSource,
    ) -> Response:
        """Create a job from JSON with a source URL or an upload's id."""
        body, raw = await read_json(request, model, timeout=self.uploads.new_timeout())
        options = JobSource.model_validate(body.model_dump(exclude_unset=True))
        options.require_one_source()
        options = options.over(query)
        if options.upload_id is not None:
            return await self.presigned.submit(options.upload_id, caller, options)
        return await self.source_urls.submit(request, caller, options, raw, quota)

    async def finish(self, request: Request, response: Response, query: SubmitQuery) -> Response:
        """Wait for the job, if the client asks for it."""
        preferences = Preferences.parse(request.headers.getlist("prefer"))
        return await finished(response, self.reader, query, preferences)


Creation = Annotated[JobCreation, provided(JobCreation)]
Submission = Annotated[SubmitQuery, Query()]

router = APIRouter(
    prefix="/v1/jobs",
    tags=["jobs"],
    responses={**_ACCEPTED, **documented(400, 404, 408, 409, 413, 415, 422, 503)},
)
presigned_router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


@router.post(
    "",
    status_code=202,
    summary="Create a job from a file",
    openapi_extra=_CREATE,
    response_model=AcceptedView,
    max_body_size=NO_BODY_LIMIT,
    responses={303: {"description": "The page of the result, for a form that a browser sends."}},
)
async def create_job(
    request: Request,
    caller: CurrentCaller,
    creation: Creation,
    slot: CurrentUpload,
    quota: CurrentQuota,
    query: Submission,
) -> Response:
    """Send the audio as the `file` field of a form, or as the body itself, with any Content-Type.

    The response comes as soon as the job is recorded. Follow its `Location`, or use `wait` to get the
    finished job in this response. (JSON, as of `/v1/jobs/from-url`, works here too.)
    """
    if is_json(request):
        response = await creation.from_json(request, caller, quota, query)
    else:
        response = await creation.uploads.upload(request, caller, query, slot)
    if wants_page(request):
        return RedirectResponse(response.headers["location"].removeprefix("/v1"), status_code=303)
    await slot.leave()  # a waiting request is not an upload anymore
    return await creation.finish(request, response, query)


@router.post(
    "/from-url",
    status_code=202,
    summary="Create a job from a URL",
    openapi_extra=_json_operation(JobFromUrl),
    response_model=AcceptedView,
)
async def create_job_from_url(
    request: Request,
    caller: CurrentCaller,
    creation: Creation,
    quota: CurrentQuota,
    query: Submission,
) -> Response:
    """A worker fetches the audio, by range requests if the server supports them."""
    response = await creation.from_json(request, caller, quota, query, JobFromUrl)
    return await creation.finish(request, response, query)


@router.post(
    "/from-upload",
    status_code=202,
    summary="Create a job from a presigned upload",
    openapi_extra=_json_operation(JobFromUpload),
    response_model=AcceptedView,
)
async def create_job_from_upload(
    request: Request,
    caller: CurrentCaller,
    creation: Creation,
    quota: CurrentQuota,
    query: Submission,
) -> Response:
    """Options given here replace those of `POST /v1/uploads`. You may repeat the request."""
    response = await creation.from_json(request, caller, quota, query, JobFromUpload)
    return await creation.finish(request, response, query)


@presigned_router.post(
    "",
    status_code=201,
    summary="Create a presigned upload",
    response_model=PresignedUploadView,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": json_body(CreateUpload)},
    responses=documented(400, 408, 409, 413, 415, 422, 501, 503),
)
async def create_upload(
    request: Request, caller: CurrentCaller, creation: Creation, quota: CurrentQuota
) -> Response:
    """Send the file straight to storage, in one request or in parts. A browser may send it, too.

    Then submit it with `POST /v1/jobs`. An upload that is not submitted in time is removed.
    """
    options, raw = await read_json(request, CreateUpload, timeout=creation.uploads.new_timeout())
    return await creation.presigned.create(request, caller, options, raw, quota)
