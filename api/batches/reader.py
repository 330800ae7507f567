"""Reads the JSON of a new batch, within the memory that uploads share."""

from dataclasses import dataclass

from fastapi import Request

from api.batches.schemas import CreateBatch
from api.http.request_body import read_json
from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.service import NewTimeout

MAX_BODY_BYTES = 256 * 1024
"""Of the JSON: the most items, with URLs of two kilobytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReader:
    """Reads bodies that are too large to hold without a reservation."""

    pool: BufferPool
    new_timeout: NewTimeout
    wait_seconds: float

    async def read(self, request: Request) -> tuple[CreateBatch, bytes]:
        """Return the parsed body, and its bytes.

        Raises:
            BadRequest, TooLarge, RequestValidationError, UploadStalled, Overloaded.
        """
        timeout = self.new_timeout()
        reservation = self.pool.reserve(on_pressure=timeout.hurry)
        try:
            await reservation.grow(MAX_BODY_BYTES, wait_seconds=self.wait_seconds)
            return await read_json(request, CreateBatch, timeout=timeout, max_bytes=MAX_BODY_BYTES)
        finally:
            reservation.release()
