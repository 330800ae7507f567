"""Request body → the bytes of one file, as they arrive: raw, or the `file` field of a form.

Refuses what is no audio by its media type or its first bytes, and bodies that stop arriving. Holds one
chunk at a time.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.multipart import parse_options_header

from api.http.request_body import received
from api.http.slow_clients import MinRateTimeout
from api.uploads.multipart import FormReader
from shared.domain.audio_format import SNIFF_BYTES, describe_content, looks_like_audio
from shared.errors import BadRequest, UnsupportedMedia

FORM = "multipart/form-data"
RAW = "application/octet-stream"


@dataclass(slots=True)
class Body:
    """One file on its way in. `fields` are complete once `chunks` has ended."""

    chunks: AsyncIterator[bytes]
    media_type: str
    filename: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    form_digest: "hashlib._Hash | None" = None
    """SHA-256 of the whole form, once `chunks` has ended: a form's Content-Digest is of all its bytes."""


async def open_body(request: Request, *, pace: MinRateTimeout) -> Body:
    """Read as far as the first bytes of the file.

    Raises:
        BadRequest, UnsupportedMedia, UploadAborted, UploadStalled.
    """
    body = await _reach_file(request, pace)
    body.chunks = await _require_audio(body.chunks)
    return body


async def _reach_file(request: Request, pace: MinRateTimeout) -> Body:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type.lower() != FORM.encode():
        declared = audio_type(media_type.decode("latin-1"))
        return Body(chunks=received(request, pace), media_type=declared)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest(
            "The form's Content-Type names no boundary; let your client set this header itself.",
            code="bad_form",
        )
    digest = hashlib.sha256() if "content-digest" in request.headers else None
    form = FormReader(boundary, received(request, pace, digest))
    await form.reach_file()
    return Body(
        chunks=form.file_chunks(),
        media_type=audio_type(form.media_type),
        filename=form.filename,
        fields=form.fields,
        form_digest=digest,
    )


async def _require_audio(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks, once the first of them were looked at. Raises UnsupportedMedia, BadRequest."""
    head, chunks = await sniffed(chunks)
    if not head:
        raise BadRequest("The upload is empty; send the bytes of an audio file.", code="empty_upload")
    require_audio(head)
    return chunks


async def sniffed(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first `SNIFF_BYTES`, or all where there are fewer; and the same chunks, from the beginning."""
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        if len(begun) >= SNIFF_BYTES:
            break

    async def all_of_them() -> AsyncIterator[bytes]:
        yield bytes(begun)
        begun.clear()
        async for chunk in chunks:
            yield chunk

    return bytes(begun[:SNIFF_BYTES]), all_of_them()


def require_audio(head: bytes) -> None:
    """Raises UnsupportedMedia."""
    if not looks_like_audio(head):
        raise UnsupportedMedia(f"This looks like {describe_content(head)}; send a file with sound in it.")


def refuse_media_type(request: Request) -> None:
    """Before a byte is read. Raises UnsupportedMedia."""
    media_type, _ = parse_options_header(request.headers.get("content-type"))
    if media_type.lower() != FORM.encode():
        audio_type(media_type.decode("latin-1"))


def audio_type(declared: str | None) -> str:
    """The media type, if audio can come under it. Raises UnsupportedMedia."""
    media_type = (declared or RAW).split(";")[0].strip().lower()
    if media_type in {RAW, "application/ogg", "application/mp4"} or media_type.startswith(
        ("audio/", "video/")
    ):
        return media_type
    if media_type == "application/x-www-form-urlencoded":
        raise UnsupportedMedia(
            "This is how curl sends --data-binary by default; add -H 'Content-Type: audio/mpeg' "
            "(or application/octet-stream), or send a form with -F file=@song.mp3."
        )
    raise UnsupportedMedia(
        f"{media_type[:100]} is no audio. Send audio/*, application/octet-stream, or a form with a `file`."
    )
