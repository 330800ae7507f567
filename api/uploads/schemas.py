"""Requests and responses of presigned uploads."""

from datetime import datetime
from itertools import accumulate
from typing import Self

from pydantic import Field

from api.uploads.options import JobOptions
from shared.domain.job import Job
from shared.ports.audio import PresignedUpload
from shared.schemas.job import View
from shared.schemas.timestamp import Timestamp


class CreateUpload(JobOptions):
    """A file that a client is going to upload to storage itself."""

    bytes: int = Field(gt=0, description="The exact size of the file.", examples=[734_003_200])
    media_type: str = Field(default="application/octet-stream", max_length=100, examples=["audio/flac"])


class PresignedRequestView(View):
    """A request to send unchanged, with `bytes` of the file as its body."""

    method: str = Field(examples=["PUT"])
    url: str
    headers: dict[str, str] = Field(examples=[{"Content-Type": "audio/flac"}])
    first_byte: int = Field(description="The offset in the file where its bytes begin.", examples=[0])
    bytes: int = Field(examples=[67_108_864])


class PresignedFormView(View):
    """For `multipart/form-data`: these fields first, then the file as `file`."""

    url: str
    fields: dict[str, str]


class PresignedUploadView(View):
    """Where to send the file. Then: `POST /v1/jobs {"upload_id": …}`."""

    upload_id: str = Field(description="Also the id of the job.", examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    expires_at: Timestamp
    requests: list[PresignedRequestView] = Field(
        description="One request, or for a large file one for each part. Send them in any order, in parallel."
    )
    form: PresignedFormView | None = Field(
        description="A form that you can send instead of the request; null for a large file."
    )
    callback_secret: str | None = Field(
        description="What the callback is signed with, for a caller without an API key; shown only here."
    )

    @classmethod
    def of(cls, job: Job, upload: PresignedUpload, *, expires_at: datetime) -> Self:
        """Return the view of a job that awaits an upload."""
        offsets = accumulate((request.size_bytes for request in upload.requests), initial=0)
        return cls(
            upload_id=job.id,
            expires_at=expires_at,
            requests=[
                PresignedRequestView(
                    method=request.method,
                    url=request.url,
                    headers=request.headers,
                    first_byte=offset,
                    bytes=request.size_bytes,
                )
                for request, offset in zip(upload.requests, offsets, strict=False)
            ],
            form=PresignedFormView.model_validate(upload.form) if upload.form else None,
            callback_secret=job.callback.secret if job.callback else None,
        )
