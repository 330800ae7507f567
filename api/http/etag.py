"""A response that clients poll: an ETag, and Retry-After for the next request."""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from fastapi import Response

from shared.schemas.job import View

_MAX_RETRY_SECONDS = 30
_TAG = re.compile(r'(?:W/)?("[^"]*")')

POLLED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {name: {"schema": {"type": "string"}} for name in ("ETag", "Retry-After")}},
    304: {"description": "Nothing has changed since the given ETag."},
}
"""The OpenAPI entries of such a response."""

IF_NONE_MATCH: dict[str, Any] = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "schema": {"type": "string"},
            "description": "ETags that you have, or `*`.",
        }
    ]
}
"""For `openapi_extra`. Read all lines of the header with `request.headers.getlist`."""


def polled(view: View, if_none_match: Sequence[str], *, again_seconds: float | None) -> Response:
    """The view, or 304 if the client has it. `again_seconds`: None if the view will not change anymore."""
    content = view.model_dump_json().encode()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if again_seconds is not None:
        headers["Retry-After"] = str(min(_MAX_RETRY_SECONDS, math.ceil(again_seconds)))
    if _matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _matches(if_none_match: Sequence[str], etag: str) -> bool:
    """Whether one of the tags is the current one. `*` matches any; W/ doesn't matter here (RFC 9110)."""
    tags = ",".join(if_none_match)
    return tags.strip() == "*" or etag in _TAG.findall(tags)
