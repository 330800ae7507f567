"""The routes of tus 1.0: core, creation, creation-with-upload, checksum, expiration, termination.

For tus-js-client, Uppy, tuspy and other clients unchanged. A complete upload becomes a job of the same id.
docs/uploads.md lists what is left out.
"""

from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import CurrentCaller
from api.access.upload_quota import CurrentQuota
from api.http.problems import documented
from api.http.provided import provided
from api.tus.checksum import CHECKSUM_ALGORITHMS, BodyChecks
from api.tus.headers import CHUNK, TusResumable, parse_metadata, parse_size, require_version
from api.tus.protocol import PREFIX, VERSION
from api.tus.service import NewTusUpload, Progress, TusService
from api.uploads.idempotency import IDEMPOTENCY_KEY, Idempotency
from api.uploads.options import JobOptions
from api.uploads.receiving.body import audio_type
from api.uploads.receiving.content_digest import CONTENT_DIGEST
from api.uploads.receiving.receiver import NO_BODY_LIMIT, too_large
from shared.clock import store_time
from shared.errors import BadRequest, UnsupportedMedia

_EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
_CHUNK_BODY = {"requestBody": {"content": {CHUNK: {"schema": {"type": "string", "format": "binary"}}}}}
_SIZE = {"pattern": "^[0-9]+$"}

UploadId = Annotated[str, Path(max_length=128, description="The upload's id, and the job's.")]
UploadChecksum = Annotated[
    str | None, Header(description=f"`sha1 <base64>` of the body; also {', '.join(CHECKSUM_ALGORITHMS[1:])}.")
]
Uploads = Annotated[TusService, provided(TusService)]
OneRequest = Annotated[Idempotency, provided(Idempotency)]

router = APIRouter(prefix=PREFIX, tags=["tus"])


@router.options("", status_code=204, summary="Get the capabilities of the tus server")
def get_tus_capabilities(uploads: Uploads) -> Response:
    """This needs no API key."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(uploads.limits.max_upload_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    response_class=Response,
    status_code=201,
    summary="Create a resumable upload",
    max_body_size=NO_BODY_LIMIT,
    openapi_extra={"parameters": [IDEMPOTENCY_KEY, CONTENT_DIGEST], **_CHUNK_BODY},
    responses=documented(400, 408, 409, 412, 413, 415, 422, 460, 503),
)
async def create_tus_upload(
    request: Request,
    caller: CurrentCaller,
    idempotency: OneRequest,
    uploads: Uploads,
    quota: CurrentQuota,
    tus_resumable: TusResumable = None,
    upload_length: Annotated[
        str | None, Header(description="The size of the file.", json_schema_extra=_SIZE)
    ] = None,
    upload_metadata: Annotated[
        str,
        Header(
            description="`filename`, `filetype`, `start_seconds`, `queue`, `callback_url` and `events`, "
            "encoded as tus says."
        ),
    ] = "",
    upload_checksum: UploadChecksum = None,
) -> Response:
    """Use any tus 1.0 client. When all bytes have arrived, the upload becomes a job of the same id.

    The body may hold the first bytes of the file, as `application/offset+octet-stream`.
    """
    require_version(tus_resumable)
    _refuse_extensions(request)
    length = parse_size("Upload-Length", upload_length)
    if not length:
        raise BadRequest("Send Upload-Length: the size of the file, at least one byte.")
    if length > uploads.limits.max_upload_bytes:
        raise too_large(uploads.limits.max_upload_bytes)
    checks = BodyChecks.parse(upload_checksum, request.headers.getlist("content-digest"))
    new = _new_upload(length, upload_metadata)

    async def create(upload_id: str) -> Response:
        progress = await uploads.create(upload_id, new, caller, quota)
        headers = {"Location": f"{PREFIX}/{upload_id}", **_expiry(progress)}
        if progress.callback_secret is not None:
            headers["Callback-Secret"] = progress.callback_secret
        return Response(status_code=201, headers=headers)

    response = await idempotency.run(request, caller, (length, upload_metadata), create)
    if request.headers.get("content-type", "").lower() == CHUNK:
        upload_id = response.headers["location"].rpartition("/")[2]
        if "idempotent-replayed" in response.headers:
            progress = await run_in_threadpool(uploads.progress, upload_id, caller)
        else:
            progress = await uploads.append(request, upload_id, caller, offset=0, checks=checks)
        response.headers["Upload-Offset"] = str(progress.offset)
    return response


@router.head(
    "/{upload_id}",
    summary="Get the offset of a resumable upload",
    response_class=Response,
    responses=documented(404, 412, 422, 503),
)
async def get_tus_upload(
    upload_id: UploadId, caller: CurrentCaller, uploads: Uploads, tus_resumable: TusResumable = None
) -> Response:
    """Continue at `Upload-Offset`."""
    require_version(tus_resumable)
    await uploads.wait_until_saved(upload_id)
    progress = await run_in_threadpool(uploads.progress, upload_id, caller)
    headers = {
        "Upload-Offset": str(progress.offset),
        "Upload-Length": str(progress.length),
        "Cache-Control": "no-store",
        **_expiry(progress),
    }
    if progress.metadata:
        headers["Upload-Metadata"] = progress.metadata
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    summary="Continue a resumable upload",
    max_body_size=NO_BODY_LIMIT,
    openapi_extra={"parameters": [CONTENT_DIGEST], **_CHUNK_BODY},
    responses=documented(400, 404, 408, 409, 412, 413, 415, 422, 460, 503),
)
async def append_to_tus_upload(
    request: Request,
    upload_id: UploadId,
    caller: CurrentCaller,
    uploads: Uploads,
    tus_resumable: TusResumable = None,
    upload_offset: Annotated[
        str | None,
        Header(description="The offset in the file where the body begins.", json_schema_extra=_SIZE),
    ] = None,
    upload_checksum: UploadChecksum = None,
) -> Response:
    """What arrives is kept, even if the connection breaks. Send HEAD for the offset, then continue.

    With `Upload-Checksum` or `Content-Digest`, the body is kept only if it arrives whole and matches.
    """
    require_version(tus_resumable)
    if request.headers.get("content-type", "").lower() != CHUNK:
        raise UnsupportedMedia(f"Send the bytes with Content-Type: {CHUNK}.")
    offset = parse_size("Upload-Offset", upload_offset)
    if offset is None:
        raise BadRequest("Send Upload-Offset: the offset in the file where the body begins.")
    checks = BodyChecks.parse(upload_checksum, request.headers.getlist("content-digest"))
    progress = await uploads.append(request, upload_id, caller, offset=offset, checks=checks)
    headers = {"Upload-Offset": str(progress.offset), **_expiry(progress)}
    return Response(status_code=204, headers=headers)


@router.delete(
    "/{upload_id}",
    status_code=204,
    summary="Terminate a resumable upload",
    responses=documented(404, 412, 422, 503),
)
def delete_tus_upload(
    upload_id: UploadId, caller: CurrentCaller, uploads: Uploads, tus_resumable: TusResumable = None
) -> Response:
    """Removes everything that has arrived. A complete upload is deleted with its job."""
    require_version(tus_resumable)
    uploads.remove(upload_id, caller)
    return Response(status_code=204)


def _new_upload(length: int, upload_metadata: str) -> NewTusUpload:
    """Parse what the client says of a new upload. Raises BadRequest, UnsupportedMedia."""
    metadata = parse_metadata(upload_metadata)
    names = {"filename": metadata.get("filename") or metadata.get("name", "")}
    return NewTusUpload(
        media_type=audio_type(metadata.get("filetype") or metadata.get("type")),
        length=length,
        metadata=upload_metadata,
        options=JobOptions.from_text(metadata | names),
    )


def _refuse_extensions(request: Request) -> None:
    """Raise BadRequest for a header that would be wrong to ignore."""
    for name in ("Upload-Concat", "Upload-Defer-Length"):
        if name in request.headers:
            raise BadRequest(
                f"{name} is not supported. Send the file as one upload with an Upload-Length.",
                code="unsupported_extension",
            )


def _expiry(progress: Progress) -> dict[str, str]:
    """Return Upload-Expires, unless the upload does not expire by itself."""
    if progress.expires_at <= store_time():
        return {}
    return {"Upload-Expires": formatdate(progress.expires_at, usegmt=True)}
