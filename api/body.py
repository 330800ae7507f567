"""Request body → the bytes of one file, as they arrive: raw, or the `file` field of a form.

Refuses what is no audio by its media type, and bodies that stop arriving. Holds one chunk at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from api.form import FormReader
from shared.errors import BadRequest, UnsupportedMedia, UploadGone, UploadStalled

FORM = "multipart/form-data"
RAW = "application/octet-stream"


@dataclass(slots=True)
class Body:
    """One file on its way in. `fields` are complete once `chunks` has ended."""

    chunks: AsyncIterator[bytes]
    media_type: str
    filename: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


async def open_body(request: Request, *, idle_seconds: float) -> Body:
    """Read as far as the beginning of the file.

    Raises:
        BadRequest, UnsupportedMedia, UploadGone, UploadStalled.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    incoming = _received(request, idle_seconds)
    if media_type.lower() != FORM.encode():
        return Body(chunks=incoming, media_type=_audio_type(media_type.decode("latin-1")))
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest(
            "The form's Content-Type names no boundary; let your client set this header itself.",
            code="bad_form",
        )
    form = FormReader(boundary, incoming)
    await form.reach_file()
    return Body(
        chunks=form.file_chunks(),
        media_type=_audio_type(form.media_type),
        filename=form.filename,
        fields=form.fields,
    )


def _audio_type(declared: str | None) -> str:
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


async def _received(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body's chunks; each must come before the client has been idle for too long."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise UploadStalled(f"No byte arrived for {idle_seconds:g} s; send the file again.") from None
        except ClientDisconnect:
            raise UploadGone("The connection was closed before the end of the upload.") from None
        if chunk is None:
            return
        if chunk:
            yield chunk
