"""Read a request body: as a stream of chunks, or as a small JSON document."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.http.limits.slow_clients import MinRateTimeout
from shared.errors import BadRequest, TooLarge, UploadAborted


class Hasher(Protocol):
    """Hashes a body as it arrives."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""


async def stream_body(
    request: Request, timeout: MinRateTimeout, digest: Hasher | None = None
) -> AsyncIterator[bytes]:
    """Yield the body's chunks as they arrive. Raises UploadAborted, UploadStalled."""
    more = True
    while more:
        async with timeout.waiting():
            message = await request.receive()
        if message["type"] == "http.disconnect":
            raise UploadAborted("The connection was closed before the end of the upload.")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        timeout.received(len(chunk))
        if digest is not None:
            digest.update(chunk)
        if chunk:
            yield chunk
        del message, chunk  # so that an upload that waits for its client does not keep it


JSON = "application/json"
_MAX_JSON_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


def is_json(request: Request) -> bool:
    """Whether Content-Type is `application/json`."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == JSON


async def read_json(
    request: Request, model: type[Model], *, timeout: MinRateTimeout, max_bytes: int = _MAX_JSON_BYTES
) -> tuple[Model, bytes]:
    """The parsed model and the raw bytes. Raises BadRequest, TooLarge, RequestValidationError."""
    raw = bytearray()
    async for chunk in stream_body(request, timeout):
        raw += chunk
        if len(raw) > max_bytes:
            raise TooLarge(
                f"The JSON body is too large. Send at most {max_bytes:,} bytes.", limit_bytes=max_bytes
            )
    try:
        return model.model_validate_json(bytes(raw)), bytes(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            raise BadRequest("The body is not valid JSON.", code="bad_json") from error
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from error
