"""What schemathesis needs to know of our API to find a job. It loads this file itself."""

import os
from typing import Any

import schemathesis

KNOWN = {
    "job_id": os.environ.get("KNOWN_JOBS", "").split(),
    "upload_id": os.environ.get("KNOWN_UPLOADS", "").split(),
}


@schemathesis.serializer("application/offset+octet-stream")
def sound(_: Any, value: Any) -> bytes:
    """What looks like the beginning of a song: anything else ends its upload."""
    return b"fLaC" + (value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Three of four ids are those of something that there is. A third of that is there to be deleted."""
    deletes = context.operation.method.upper() == "DELETE"
    for name, value in (path_parameters or {}).items():
        known, number = KNOWN.get(name, []), sum(str(value).encode())
        known = known[: len(known) // 3] if deletes else known[len(known) // 3 :]
        if path_parameters and known and number % 4:
            path_parameters[name] = known[number % len(known)]
    return path_parameters


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """Most requests of tus speak its version, and begin at the beginning."""
    if context.operation.path.startswith("/v1/tus"):
        headers = {} if headers is None else headers
        number = sum(str(dict(headers)).encode())
        if number % 8:
            headers["Tus-Resumable"] = "1.0.0"
        if number % 7 and "{" in context.operation.path:
            headers["Upload-Offset"] = "0"
    return headers
