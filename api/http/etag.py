"""A response that clients poll: an ETag, and Retry-After for the next request."""

import hashlib
import math
from typing import Any

from fastapi import Response

from shared.schemas.job import View

_MAX_RETRY_SECONDS = 30

POLLED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {name: {"schema": {"type": "string"}} for name in ("ETag", "Retry-After")}},
    304: {"description": "Nothing has changed since the given ETag."},
}
"""The OpenAPI entries of such a response."""


def polled(view: View, if_none_match: str | None, *, again_seconds: float | None) -> Response:
    """The view, or 304 if the client has it. `again_seconds`: None if the view will not change anymore."""
    content = view.model_dump_json().encode()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if again_seconds is not None:
        headers["Retry-After"] = str(min(_MAX_RETRY_SECONDS, math.ceil(again_seconds)))
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)
