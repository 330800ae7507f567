"""The routes of tus 1.0: core, creation, expiration, termination.

For tus-js-client, Uppy, tuspy and other clients unchanged. A complete upload becomes a job of the same id.
"""

import base64
import binascii
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentShare
from api.http.problems import documented
from api.tus.service import NewTusUpload, Progress, TusService
from api.uploads.idempotency import IDEMPOTENCY_KEY, Idempotency
from api.uploads.options import JobOptions
from api.uploads.receiving.body import audio_type
from api.uploads.receiving.receiver import NO_BODY_LIMIT, too_large
from shared.errors import BadRequest, UnsupportedMedia, UnsupportedVersion

VERSION = "1.0.0"
_EXTENSIONS = "creation,expiration,termination"
_CHUNK = "application/offset+octet-stream"
_MAX_METADATA_BYTES = 8 * 1024

UploadId = Annotated[str, Path(max_length=128, description="The upload's id, and the job's.")]
TusResumable = Annotated[str | None, Header(description=f"`{VERSION}`.", examples=[VERSION])]


def tus_router(uploads: TusService, *, idempotency: Idempotency) -> APIRouter:
    """The routes under /v1/tus."""
    router = APIRouter(prefix="/v1/tus", tags=["uploads"])
    max_bytes = uploads.limits.max_upload_bytes

    @router.options("", status_code=204, summary="Read the capabilities of this tus server")
    def options() -> Response:
        """This needs no API key."""
        headers = {"Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS, "Tus-Max-Size": str(max_bytes)}
        return Response(status_code=204, headers={"Tus-Resumable": VERSION} | headers)

    @router.post(
        "",
        response_class=Response,
        status_code=201,
        summary="Create a resumable upload",
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
        responses=documented(400, 409, 412, 413, 415, 422, 503),
    )
    async def create(
        request: Request,
        caller: CurrentCaller,
        quota: CurrentShare,
        tus_resumable: TusResumable = None,
        upload_length: Annotated[int | None, Header(ge=0, description="The size of the file.")] = None,
        upload_metadata: Annotated[
            str, Header(description="`filename`, `filetype` and `start_seconds`, encoded as tus says.")
        ] = "",
    ) -> Response:
        """Use any tus 1.0 client. When all bytes have arrived, the upload becomes a job of the same id."""
        _require_version(request, tus_resumable)
        if not upload_length:
            raise BadRequest("Send Upload-Length: the size of the file, at least one byte.")
        if upload_length > max_bytes:
            raise too_large(max_bytes)
        metadata = _parse_metadata(upload_metadata)
        new = NewTusUpload(
            media_type=audio_type(metadata.get("filetype") or metadata.get("type")),
            length=upload_length,
            metadata=upload_metadata,
            options=JobOptions.from_text(
                {
                    "filename": metadata.get("filename") or metadata.get("name", ""),
                    "start_seconds": metadata.get("start_seconds", ""),
                }
            ),
        )

        async def create(upload_id: str) -> Response:
            progress = await run_in_threadpool(uploads.create, upload_id, new, caller, quota)
            headers = {"Location": f"{request.url.path.rstrip('/')}/{upload_id}", **_expiry(progress)}
            return Response(status_code=201, headers=_always() | headers)

        return await idempotency.run(request, caller, (upload_length, upload_metadata), create)

    @router.head(
        "/{upload_id}",
        summary="Read the offset of a resumable upload",
        response_class=Response,
        responses=documented(404, 412, 422, 503),
    )
    def head(
        request: Request, upload_id: UploadId, caller: CurrentCaller, tus_resumable: TusResumable = None
    ) -> Response:
        """Continue at `Upload-Offset`."""
        _require_version(request, tus_resumable)
        progress = uploads.progress(upload_id, caller)
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
        summary="Continue a resumable upload",
        max_body_size=NO_BODY_LIMIT,
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
        upload_offset: Annotated[
            int | None, Header(ge=0, description="The offset in the file where the body begins.")
        ] = None,
    ) -> Response:
        """What arrives is kept, even if the connection breaks. Send HEAD for the offset, then continue."""
        _require_version(request, tus_resumable)
        if request.headers.get("content-type", "").lower() != _CHUNK:
            raise UnsupportedMedia(f"Send the bytes with Content-Type: {_CHUNK}.")
        if upload_offset is None:
            raise BadRequest("Send Upload-Offset: the offset in the file where the body begins.")
        progress = await uploads.append(request, upload_id, offset=upload_offset, caller=caller)
        headers = {"Upload-Offset": str(progress.offset), **_expiry(progress)}
        return Response(status_code=204, headers=_always() | headers)

    @router.delete(
        "/{upload_id}",
        status_code=204,
        summary="Terminate a resumable upload",
        responses=documented(404, 409, 412, 422, 503),
    )
    def delete(
        request: Request, upload_id: UploadId, caller: CurrentCaller, tus_resumable: TusResumable = None
    ) -> Response:
        """Everything that has arrived is removed at once."""
        _require_version(request, tus_resumable)
        uploads.remove(upload_id, caller)
        return Response(status_code=204, headers=_always())

    @router.post("/{upload_id}", include_in_schema=False, max_body_size=NO_BODY_LIMIT)
    async def override(
        request: Request,
        upload_id: UploadId,
        caller: CurrentCaller,
        tus_resumable: TusResumable = None,
        upload_offset: Annotated[int | None, Header(ge=0)] = None,
        x_http_method_override: Annotated[str, Header()] = "",
    ) -> Response:
        """For networks that let only GET and POST through, as tus asks of servers."""
        blocking: dict[str, Callable[..., Response]] = {"HEAD": head, "DELETE": delete}
        method = x_http_method_override.upper()
        if method == "PATCH":
            return await patch(request, upload_id, caller, tus_resumable, upload_offset)
        if method not in blocking:
            raise HTTPException(405, "Set X-HTTP-Method-Override to HEAD, PATCH or DELETE.")
        return await run_in_threadpool(blocking[method], request, upload_id, caller, tus_resumable)

    return router


def _always() -> dict[str, str]:
    return {"Tus-Resumable": VERSION}


def _require_version(request: Request, version: str | None) -> None:
    """Raise UnsupportedVersion unless the client speaks tus 1.0. Makes all problems carry the tus header."""
    request.state.answer_headers = _always()
    if version != VERSION:
        request.state.answer_headers = _always() | {"Tus-Version": VERSION}
        raise UnsupportedVersion(
            f"Send Tus-Resumable: {VERSION}, the only version that this server supports."
        )


def _expiry(progress: Progress) -> dict[str, str]:
    if progress.expires_at <= time.time():
        return {}
    return {"Upload-Expires": formatdate(progress.expires_at, usegmt=True)}


def _parse_metadata(header: str) -> dict[str, str]:
    """Parse Upload-Metadata: pairs of a key and base64, separated by commas. Raises BadRequest."""
    if len(header) > _MAX_METADATA_BYTES:
        raise BadRequest(f"Upload-Metadata is longer than {_MAX_METADATA_BYTES:,} bytes.")
    metadata = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            metadata[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest(
                "Upload-Metadata is malformed. Send each key with a space and the base64 of UTF-8 text."
            ) from error
    return metadata
