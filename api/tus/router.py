"""tus 1.0 over resumable uploads: core, creation, expiration, termination. Headers in, headers out.

For tus-js-client, Uppy, tuspy and others as they are. A whole upload becomes a job of the same id.
"""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentShare
from api.http.problems import documented
from api.tus.service import Progress, TusService
from api.uploads.body import audio_type
from api.uploads.filenames import clean_filename
from api.uploads.idempotency import IDEMPOTENCY_KEY, fingerprint
from api.uploads.receiver import COUNTED_BY_US, too_large
from api.uploads.service import start_of
from shared.domain.job import AudioInput
from shared.errors import BadRequest, UnsupportedMedia, UnsupportedVersion

VERSION = "1.0.0"
_EXTENSIONS = "creation,expiration,termination"
_CHUNK = "application/offset+octet-stream"
_LONGEST_METADATA = 8 * 1024

UploadId = Annotated[str, Path(max_length=128, description="The upload's id, and the job's.")]
TusResumable = Annotated[str | None, Header(description=f"`{VERSION}`.", examples=[VERSION])]


def tus_router(uploads: TusService) -> APIRouter:
    """The routes under /v1/tus."""
    router = APIRouter(prefix="/v1/tus", tags=["uploads"])
    most = uploads.submissions.terms.max_upload_bytes

    @router.options("", status_code=204, summary="What this tus server can do")
    async def options() -> Response:
        """No key is needed for this."""
        headers = {"Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS, "Tus-Max-Size": str(most)}
        return Response(status_code=204, headers={"Tus-Resumable": VERSION} | headers)

    @router.post(
        "",
        response_class=Response,
        status_code=201,
        summary="Begin a resumable upload",
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
        responses=documented(400, 409, 412, 413, 415, 422, 503),
    )
    async def create(
        request: Request,
        caller: CurrentCaller,
        share: CurrentShare,
        tus_resumable: TusResumable = None,
        upload_length: Annotated[int | None, Header(ge=0, description="Bytes in all.")] = None,
        upload_metadata: Annotated[
            str, Header(description="`filename`, `filetype` and `start_seconds`, as tus has it.")
        ] = "",
    ) -> Response:
        """tus 1.0: use any of its clients. When all bytes are there, the upload is a job of the same id."""
        _require_version(request, tus_resumable)
        if not upload_length:
            raise BadRequest("Send Upload-Length: the number of bytes of the file, one at least.")
        if upload_length > most:
            raise too_large(most)
        given = _metadata(upload_metadata)
        input = AudioInput(
            filename=clean_filename(given.get("filename") or given.get("name")),
            media_type=audio_type(given.get("filetype") or given.get("type")),
            size_bytes=upload_length,
        )
        async with uploads.submissions.idempotency.once(request, caller) as once:
            whole = fingerprint(once.head, upload_length, upload_metadata)
            if once.answered:
                return once.replay(whole)
            progress = await run_in_threadpool(
                uploads.create,
                once.subject,
                input=input,
                start_seconds=start_of(given.get("start_seconds")),
                metadata=upload_metadata,
                caller=caller,
                share=share,
            )
            headers = {"Location": f"{request.url.path.rstrip('/')}/{once.subject}", **_expiry(progress)}
            return await once.answer(whole, Response(status_code=201, headers=_always() | headers))

    @router.head(
        "/{upload_id}",
        summary="How far a resumable upload is",
        response_class=Response,
        responses=documented(404, 412, 422, 503),
    )
    async def head(
        request: Request, upload_id: UploadId, caller: CurrentCaller, tus_resumable: TusResumable = None
    ) -> Response:
        """Go on at `Upload-Offset`."""
        _require_version(request, tus_resumable)
        progress = await run_in_threadpool(uploads.progress, upload_id, caller)
        headers = {
            "Upload-Offset": str(progress.offset),
            "Upload-Length": str(progress.length),
            "Cache-Control": "no-store",
            **_expiry(progress),
        }
        if progress.metadata:
            headers["Upload-Metadata"] = progress.metadata
        return Response(status_code=200, headers=_always() | headers)

    @router.patch(
        "/{upload_id}",
        status_code=204,
        summary="Go on with a resumable upload",
        max_body_size=COUNTED_BY_US,
        openapi_extra={
            "requestBody": {"content": {_CHUNK: {"schema": {"type": "string", "format": "binary"}}}}
        },
        responses=documented(400, 404, 408, 409, 412, 413, 415, 422, 503),
    )
    async def patch(
        request: Request,
        upload_id: UploadId,
        caller: CurrentCaller,
        tus_resumable: TusResumable = None,
        upload_offset: Annotated[int | None, Header(ge=0, description="Where the body begins.")] = None,
    ) -> Response:
        """What arrives stays, even if the connection breaks: ask with HEAD how far it is, then go on."""
        _require_version(request, tus_resumable)
        if request.headers.get("content-type", "").lower() != _CHUNK:
            raise UnsupportedMedia(f"Send the bytes with Content-Type: {_CHUNK}.")
        if upload_offset is None:
            raise BadRequest("Send Upload-Offset: where in the file the body begins.")
        progress = await uploads.append(request, upload_id, offset=upload_offset, caller=caller)
        headers = {"Upload-Offset": str(progress.offset), **_expiry(progress)}
        return Response(status_code=204, headers=_always() | headers)

    @router.delete(
        "/{upload_id}",
        status_code=204,
        summary="Give up a resumable upload",
        responses=documented(404, 409, 412, 422, 503),
    )
    async def delete(
        request: Request, upload_id: UploadId, caller: CurrentCaller, tus_resumable: TusResumable = None
    ) -> Response:
        """Everything that has arrived is removed at once."""
        _require_version(request, tus_resumable)
        await run_in_threadpool(uploads.remove, upload_id, caller)
        return Response(status_code=204, headers=_always())

    @router.post("/{upload_id}", include_in_schema=False, max_body_size=COUNTED_BY_US)
    async def overridden(
        request: Request,
        upload_id: UploadId,
        caller: CurrentCaller,
        tus_resumable: TusResumable = None,
        upload_offset: Annotated[int | None, Header(ge=0)] = None,
        x_http_method_override: Annotated[str, Header()] = "",
    ) -> Response:
        """For networks that let only GET and POST through, as tus asks of servers."""
        plain: dict[str, Callable[..., Awaitable[Response]]] = {"HEAD": head, "DELETE": delete}
        method = x_http_method_override.upper()
        if method == "PATCH":
            return await patch(request, upload_id, caller, tus_resumable, upload_offset)
        if method not in plain:
            raise HTTPException(405, "Say with X-HTTP-Method-Override what to do: HEAD, PATCH or DELETE.")
        return await plain[method](request, upload_id, caller, tus_resumable)

    return router


def _always() -> dict[str, str]:
    return {"Tus-Resumable": VERSION}


def _require_version(request: Request, given: str | None) -> None:
    """From here on, problems carry the tus header, too."""
    request.state.answer_headers = _always()
    if given != VERSION:
        request.state.answer_headers = _always() | {"Tus-Version": VERSION}
        raise UnsupportedVersion(f"Send Tus-Resumable: {VERSION}; this server speaks no other version.")


def _expiry(progress: Progress) -> dict[str, str]:
    if progress.expires_at <= time.time():
        return {}
    return {"Upload-Expires": formatdate(progress.expires_at, usegmt=True)}


def _metadata(given: str) -> dict[str, str]:
    """Upload-Metadata as tus has it: pairs of a key and base64, separated by commas. Raises BadRequest."""
    if len(given) > _LONGEST_METADATA:
        raise BadRequest(f"Upload-Metadata is longer than {_LONGEST_METADATA:,} bytes.")
    found = {}
    for pair in given.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest(
                "Upload-Metadata is malformed: each key is followed by a space and base64 of UTF-8."
            ) from error
    return found
