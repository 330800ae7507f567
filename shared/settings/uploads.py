"""How clients upload."""

from typing import Self

from pydantic import Field, model_validator

from shared.settings.base import MIB
from shared.settings.storage import StorageSettings


class UploadSettings(StorageSettings):
    """Limits of uploads."""

    direct_part_bytes: int = Field(
        64 * MIB, ge=5 * MIB, description="Part size of presigned uploads; larger files come in parts, bytes."
    )
    direct_upload_seconds: float = Field(
        3600, ge=60, le=7 * 24 * 3600, description="How long a presigned upload may take, seconds."
    )
    max_upload_bytes: int = Field(2048 * MIB, gt=0, description="Largest accepted upload, bytes.")
    upload_idle_timeout_seconds: float = Field(
        30, gt=0, description="An upload that sends nothing for this long is ended, seconds."
    )
    upload_min_bytes_per_second: float = Field(
        1024, gt=0, description="An upload that is slower than this is ended, bytes/s."
    )
    upload_wait_seconds: float = Field(
        10, ge=0, description="How long a new upload waits for memory before the API answers 503, seconds."
    )
    upload_buffer_bytes: int = Field(
        64 * MIB, gt=0, description="Memory for the parts of all uploads in one API process, bytes."
    )
    upload_parts_in_flight: int = Field(
        2, ge=1, description="Parts of one upload that are sent to storage at the same time."
    )

    @model_validator(mode="after")
    def _buffers_hold_two_parts(self) -> Self:
        if self.upload_buffer_bytes < 2 * self.s3_part_bytes:
            raise ValueError(
                "KAMMERTON_UPLOAD_BUFFER_BYTES must be at least twice KAMMERTON_S3_PART_BYTES: "
                "one part fills while another is sent"
            )
        return self
