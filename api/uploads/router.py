"""Uploads that never pass through the API: an offer to write one object, then a job of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentShare, CurrentUpload
from api.http.problems import documented
from api.http.request_body import JSON, is_json, read_json
from api.http.templating import wants_page
from api.jobs.schemas import AcceptedView
from api.uploads.body import FORM, RAW
from api.uploads.idempotency import IDEMPOTENCY_KEY
from api.uploads.presigned import PresignedUploadService, PresignedUploadView, UploadWish
from api.uploads.receiver import CONTENT_DIGEST, COUNTED_BY_US
from api.uploads.service import LATEST_START_SECONDS, QUEUE, QueueName, UploadService, Wish
from api.uploads.source_url import JobSource, SourceUrlService
from api.webhooks.callback import CALLBACK_URL, EVENTS, FORM_FIELDS


def presigned_router(direct: PresignedUploadService) -> APIRouter:
    """The route under /v1/uploads."""
    router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

    @router.post(
        "",
        status_code=201,
        summary="Ask where to upload directly",
        response_model=PresignedUploadView,
        openapi_extra={
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": UploadWish.model_json_schema()}},
            },
        },
        responses=documented(400, 408, 409, 413, 415, 422, 503),
    )
    async def offer(request: Request, caller: CurrentCaller, share: CurrentShare) -> Response:
        """The file goes straight to storage, in one request or in parts; a browser may send it, too.

        Unless `POST /v1/jobs` follows in time, all of it is removed.
        """
        return await direct.offer(request, caller, share)

    return router


_FILE = {"type": "string", "format": "binary", "description": "The audio file."}
_SUBMIT = {
    "parameters": [IDEMPOTENCY_KEY, CONTENT_DIGEST],
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": _FILE,
                        "start_seconds": {
                            "type": "number",
                            "minimum": 0,
                            "description": "Where the window of 60 s begins.",
                        },
                        "queue": {
                            "type": "string",
                            "enum": [name.value for name in QueueName],
                            "default": "interactive",
                            "description": QUEUE,
                        },
                        **FORM_FIELDS,
                    },
                }
            },
            "audio/*": {"schema": _FILE},
            RAW: {"schema": _FILE},
            JSON: {"schema": JobSource.model_json_schema()},
        },
    },
}


def submit_router(
    submissions: UploadService, *, direct: PresignedUploadService, addressed: SourceUrlService
) -> APIRouter:
    """POST /v1/jobs."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post(
        "",
        status_code=202,
        summary="Upload a recording",
        openapi_extra=_SUBMIT,
        response_model=AcceptedView,
        max_body_size=COUNTED_BY_US,
        responses={
            202: {"headers": {name: {"schema": {"type": "string"}} for name in ("Location", "Retry-After")}},
            303: {"description": "To a browser's form: the page of the result."},
            **documented(400, 404, 408, 409, 413, 415, 422, 503),
        },
    )
    async def submit(
        request: Request,
        caller: CurrentCaller,
        slot: CurrentUpload,
        share: CurrentShare,
        filename: Annotated[
            str | None, Query(description="Name of a raw body.", examples=["song.mp3"])
        ] = None,
        start_seconds: Annotated[
            float | None,
            Query(ge=0, le=LATEST_START_SECONDS, description="Where the window of 60 s begins."),
        ] = None,
        queue: Annotated[QueueName | None, Query(description=QUEUE)] = None,
        callback_url: Annotated[str | None, Query(description=CALLBACK_URL)] = None,
        events: Annotated[list[str] | None, Query(description=EVENTS)] = None,
    ) -> Response:
        """Send the audio as the `file` field of a form, or as the body itself; or name it in JSON: an
        `upload_id`, or a `source_url` that a worker fetches it from.

        What is sent goes to storage as it arrives. The answer comes as soon as the job is recorded: follow
        `Location`.
        """
        wish = Wish(
            filename=filename,
            start_seconds=start_seconds,
            queue=queue,
            callback_url=callback_url,
            events=tuple(events or ()),
        )
        if is_json(request):
            source, raw = await read_json(request, JobSource, pace=submissions.pace())
            source = source.beside(wish)
            if source.upload_id is not None:
                return await direct.submit(source.upload_id, caller, source)
            return await addressed.submit(request, caller, source, raw, share)
        answer = await submissions.upload(request, caller, wish, slot=slot)
        if wants_page(request):
            return RedirectResponse("/jobs/" + answer.headers["location"].rsplit("/", 1)[-1], status_code=303)
        return answer

    return router
