"""The try-it page and the page of one result: `/` and `/jobs/{id}`. They work without a script."""

import math
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from api.access.authentication import identify
from api.http.templating import origin, page
from api.jobs.event_stream import stage_of
from api.web import charts as pictures
from api.web import report_text as words
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import NotFound
from shared.ports.jobs import JobStore

_TUS = "/v1/tus"
"""Resumable uploads: with them, a large file can be paused."""
_RULER_HZ = (425.0, 447.0)
_RULER_WIDTH = 800.0
_STAGE_WORDS = {
    "uploading": "uploading",
    "waiting": "waiting",
    "waiting_to_retry": "trying again soon",
    "listening": "listening",
    "canceling": "canceling",
    "done": "done",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One line of the ruler on the try-it page."""

    x: float
    height: int
    label: str


def pages_router(*, jobs: JobStore, max_upload_bytes: int, anonymous: bool) -> APIRouter:
    """The public pages. `anonymous`: no API key is needed to try it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def try_it(request: Request) -> HTMLResponse:
        return page(
            request,
            "try.html",
            {
                "ruler": _ruler(),
                "most_bytes": max_upload_bytes,
                "origin": origin(request),
                "tus": _TUS if _TUS in request.app.openapi()["paths"] else "",
                "anonymous": anonymous,
            },
        )

    @router.get("/jobs/{job_id}")
    async def result(request: Request, job_id: Annotated[str, Path(max_length=128)]) -> HTMLResponse:
        try:
            context = await song(request, job_id)
        except NotFound:
            return page(request, "message.html", _GONE, status=404)
        return page(request, "job.html", context | {"heading": "h1", "linked": False})

    @router.get("/jobs/{job_id}/card")
    async def card(
        request: Request,
        job_id: Annotated[str, Path(max_length=128)],
        heading: Annotated[Literal["h1", "h2", "h3"], Query()] = "h3",
    ) -> HTMLResponse:
        context = await song(request, job_id)
        return page(request, "_song.html", context | {"heading": heading, "linked": heading != "h1"})

    async def song(request: Request, job_id: str) -> dict[str, object]:
        caller = await identify(request)
        job = await run_in_threadpool(jobs.get, job_id)
        caller.check_sees(job)
        position = await run_in_threadpool(jobs.queue_position, job)
        return song_context(job, position, origin=origin(request))

    return router


def song_context(job: Job, position: int | None, *, origin: str) -> dict[str, object]:
    """What `_song.html` shows of a job."""
    now = stage_of(job, now=time.time())
    context: dict[str, object] = {
        "job": job,
        "origin": origin,
        "answer": words.answer(job),
        "stage_word": _STAGE_WORDS[now],
        "stage_sentence": _stage_sentence(now, position, job),
    }
    if job.report is None:
        return context
    tuning = job.report.tuning
    found = tuning.a4_hz is not None and job.report.tuning.verdict != "inconclusive"
    return context | {
        "standard": words.standard(tuning),
        "compare_hz": words.compare_hz(tuning),
        "off_hz": words.uncertainty_hz(tuning),
        "confidence": words.confidence(tuning) if found else None,
        "remarks": words.remarks(job.report) if found else [],
        "histogram": pictures.histogram(tuning),
        "spectrum": pictures.spectrum(tuning),
    }


_GONE = {
    "headline": "This result is gone",
    "detail": "Results are kept for a while and then forgotten, with everything that belonged to them; or "
    "the address has a typing error. Upload the song again: it takes seconds.",
    "way_on": "/",
    "way_on_label": "Try a song",
}


def _stage_sentence(now: str, position: int | None, job: Job) -> str:
    match now:
        case "waiting" if position == 0:
            return "Next in line."
        case "waiting" if position == 1:
            return "Waiting: one song is before this one."
        case "waiting" if position:
            return f"Waiting: {position} songs are before this one."
        case "waiting_to_retry":
            return "Something went wrong; we will try once more in a moment."
        case "listening" if job.attempts > 1:
            return f"Listening, attempt {job.attempts}…"
        case "listening":
            return "Listening…"
    return "Waiting for the upload." if job.state is JobState.AWAITING_UPLOAD else f"{now.capitalize()}."


def _ruler() -> list[Tick]:
    """Ticks every hertz, as far apart as they sound."""
    low, high = _RULER_HZ
    return [
        Tick(
            x=round(math.log(hz / low) / math.log(high / low) * _RULER_WIDTH, 1),
            height=34 if hz in {432, 440, 442} else 18 if hz % 5 == 0 else 10,
            label=str(hz) if hz in {432, 440, 442} else "",
        )
        for hz in range(math.ceil(low) + 1, math.ceil(high))
    ]
