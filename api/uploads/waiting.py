"""The finished job in the response to the request that creates it."""

import json

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import Field

from api.http.prefer import MAX_WAIT_SECONDS, Preferences
from api.jobs.reader import JobReader
from api.jobs.schemas import PICTURES, AcceptedView
from api.uploads.options import QueryOptions
from shared.errors import NotFound
from shared.schemas.job import JobView


class SubmitQuery(QueryOptions):
    """The query of POST /v1/jobs."""

    wait: float | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_SECONDS,
        allow_inf_nan=False,
        description="Respond with 200 and the finished job, or with 202 after this many seconds.",
    )
    pictures: bool = Field(default=True, description=PICTURES)


async def finished(
    accepted: Response, reader: JobReader, query: SubmitQuery, preferences: Preferences
) -> Response:
    """Return 200 with the job if it finishes in the time that the client waits; else *accepted*."""
    seconds = preferences.wait_seconds if query.wait is None else query.wait
    if seconds is None:
        accepted.headers.update(preferences.applied(accepted=True))
        return accepted
    job_id = accepted.headers["location"].rpartition("/")[2]
    try:
        job = await reader.wait_until_final(job_id, seconds=seconds)
    except NotFound:  # deleted in the meantime
        return accepted
    if not job.state.is_final:
        accepted.headers.update(preferences.applied(accepted=True))
        return accepted
    view = JobView.of(job) if query.pictures else JobView.of(job).without_pictures()
    secret = json.loads(bytes(accepted.body))["callback_secret"]
    body = AcceptedView(**dict(view), callback_secret=secret).model_dump(mode="json")
    kept = {
        name: value for name, value in accepted.headers.items() if name in ("location", "idempotent-replayed")
    }
    return JSONResponse(body, 200, kept | preferences.applied(accepted=False))
