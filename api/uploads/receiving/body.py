"""The body of an upload request: the bytes of one file as they arrive, raw or as the `file` field of a form.

Refuses bodies that stop arriving. Holds one chunk at a time.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header

from api.http.limits.slow_clients import MinRateTimeout
from api.http.request_body import stream_body
from api.uploads.options import JobOptions
from api.uploads.receiving.content_digest import ContentDigest
from api.uploads.receiving.multipart import FormReader
from shared.domain.audio.formats import looks_like_audio
from shared.domain.audio.refused import refusal
from shared.errors import BadRequest, UnsupportedMedia

FORM = "multipart/form-data"
RAW = "application/octet-stream"
_AUDIO_TYPE = re.compile(r"(audio|video)/[\w.+-]{1,80}|application/(ogg|mp4|octet-stream)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadBody:
    """One file as it arrives."""

    chunks: AsyncIterator[bytes]
    media_type: str
    digest: ContentDigest
    """Of the whole body, so for a form of all its bytes."""
    form: FormReader | None = None

    def options(self, query: JobOptions) -> JobOptions:
        """Return the form's options over those of the query. Fields after the file come with its last chunk.

        Raises:
            BadRequest: a field is invalid.
        """
        if self.form is None:
            return query
        fields = self.form.fields | {"filename": self.form.filename or ""}
        return JobOptions.from_text(fields).over(query)


async def open_body(request: Request, timeout: MinRateTimeout) -> UploadBody:
    """Read as far as the first bytes of the file.

    Raises:
        BadRequest, UploadAborted, UploadStalled.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    digest = ContentDigest(request.headers.getlist("content-digest"))
    chunks = stream_body(request, timeout, digest)
    if media_type.lower() != FORM.encode():
        return UploadBody(chunks=chunks, media_type=audio_type(media_type.decode("latin-1")), digest=digest)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest(
            "The form's Content-Type has no boundary. Let your client set this header itself.",
            code="bad_form",
        )
    form = FormReader(boundary, chunks)
    await form.reach_file()
    return UploadBody(
        chunks=form.file_chunks(), media_type=audio_type(form.media_type), digest=digest, form=form
    )


def require_audio(head: bytes) -> None:
    """Raise UnsupportedMedia unless a file's first bytes look like audio."""
    if not looks_like_audio(head):
        raise UnsupportedMedia(refusal(head))


def audio_type(declared: str | None) -> str:
    """Return the media type to store a file with.

    A type that audio can't have is not an error: clients declare all kinds of types, and the first bytes
    decide.
    """
    media_type = (declared or RAW).split(";")[0].strip().lower()
    return media_type if _AUDIO_TYPE.fullmatch(media_type) else RAW
