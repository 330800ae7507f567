"""The body of an upload request: the bytes of one file as they arrive, raw or as the `file` field of a form.

Refuses what is not audio by its media type, and bodies that stop arriving. Holds one chunk at a time.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header

from api.http.request_body import received
from api.http.slow_clients import MinRateTimeout
from api.uploads.options import JobOptions
from api.uploads.receiving.multipart import FormReader
from shared.domain.audio_format import describe_content, looks_like_audio
from shared.errors import BadRequest, UnsupportedMedia

FORM = "multipart/form-data"
RAW = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadBody:
    """One file as it arrives."""

    chunks: AsyncIterator[bytes]
    media_type: str
    form: FormReader | None = None
    form_digest: "hashlib._Hash | None" = None
    """SHA-256 of the whole form once `chunks` has ended: a form's Content-Digest covers all its bytes."""

    def options(self, query: JobOptions) -> JobOptions:
        """Return the form's options over those of the query. Fields after the file come with its last chunk.

        Raises:
            BadRequest: a field is invalid.
        """
        if self.form is None:
            return query
        fields = self.form.fields | {"filename": self.form.filename or ""}
        return JobOptions.from_text(fields).over(query)

    def sha256_of(self, file_sha256: str) -> str:
        """Return the digest of the whole body, given that of the file."""
        return self.form_digest.hexdigest() if self.form_digest else file_sha256


async def open_body(request: Request, timeout: MinRateTimeout) -> UploadBody:
    """Read as far as the first bytes of the file.

    Raises:
        BadRequest, UnsupportedMedia, UploadAborted, UploadStalled.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type.lower() != FORM.encode():
        declared = audio_type(media_type.decode("latin-1"))
        return UploadBody(chunks=received(request, timeout), media_type=declared)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest(
            "The form's Content-Type has no boundary. Let your client set this header itself.",
            code="bad_form",
        )
    digest = hashlib.sha256() if "content-digest" in request.headers else None
    form = FormReader(boundary, received(request, timeout, digest))
    await form.reach_file()
    return UploadBody(
        chunks=form.file_chunks(), media_type=audio_type(form.media_type), form=form, form_digest=digest
    )


def require_audio(head: bytes) -> None:
    """Raise UnsupportedMedia unless a file's first bytes look like audio."""
    if not looks_like_audio(head):
        raise UnsupportedMedia(f"This looks like {describe_content(head)}. Upload a file with sound.")


def check_media_type(request: Request) -> None:
    """Raise UnsupportedMedia if the Content-Type is not a form's or a sound's. Reads nothing of the body."""
    media_type, _ = parse_options_header(request.headers.get("content-type"))
    if media_type.lower() != FORM.encode():
        audio_type(media_type.decode("latin-1"))


def audio_type(declared: str | None) -> str:
    """Return the media type if it can hold audio. Raises UnsupportedMedia."""
    media_type = (declared or RAW).split(";")[0].strip().lower()
    if media_type in {RAW, "application/ogg", "application/mp4"} or media_type.startswith(
        ("audio/", "video/")
    ):
        return media_type
    if media_type == "application/x-www-form-urlencoded":
        raise UnsupportedMedia(
            "This is what curl sends for --data-binary by default. Add -H 'Content-Type: audio/mpeg' "
            "(or application/octet-stream), or send a form with -F file=@song.mp3."
        )
    raise UnsupportedMedia(
        f"{media_type[:100]} is not an audio type. Send audio/*, application/octet-stream, or a form with "
        "a `file` field."
    )
