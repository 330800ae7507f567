"""The start page and the page of one result: `/` and `/jobs/{id}`. They also work without JavaScript."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from api.access.authentication import identify
from api.http.templating import origin, page
from api.jobs.event_stream import stage_of
from api.web import report_text
from api.web.charts import histogram_chart, spectrum_chart
from shared.clock import store_time
from shared.domain import tuning_text
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import NotFound
from shared.ports.jobs import JobStore

_TUS = "/v1/tus"
"""Resumable uploads: with them, a large upload can be paused."""
_RULER_HZ = (425.0, 447.0)
_RULER_WIDTH = 800.0
_LABELED_HZ = frozenset({432, 440, 442})
_STAGE_LABELS = {"waiting_to_retry": "retrying soon", "listening": "analyzing"}
_NOT_FOUND = {
    "headline": "This result is gone",
    "detail": "Results are deleted some time after the analysis. If the address has a typing error, correct "
    "it. Otherwise upload the song again: it takes seconds.",
    "link": "/",
    "link_label": "Try a song",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One line of the ruler on the start page."""

    x: float
    height: int
    label: str


def pages_router(*, jobs: JobStore, max_upload_bytes: int, anonymous: bool) -> APIRouter:
    """The public pages. `anonymous`: whether songs can be uploaded without an API key."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def start_page(request: Request) -> HTMLResponse:
        return page(
            request,
            "start.html",
            {
                "ruler": _ruler(),
                "max_bytes": max_upload_bytes,
                "origin": origin(request),
                "tus": _TUS if _TUS in request.app.openapi()["paths"] else "",
                "anonymous": anonymous,
            },
        )

    @router.get("/jobs/{job_id}")
    async def result_page(request: Request, job_id: Annotated[str, Path(max_length=128)]) -> HTMLResponse:
        try:
            context = await read_song(request, job_id)
        except NotFound:
            return page(request, "message.html", _NOT_FOUND, status=404)
        return page(request, "job.html", context | {"heading": "h1", "linked": False})

    @router.get("/jobs/{job_id}/card")
    async def card(
        request: Request,
        job_id: Annotated[str, Path(max_length=128)],
        heading: Annotated[Literal["h1", "h2", "h3"], Query()] = "h3",
    ) -> HTMLResponse:
        context = await read_song(request, job_id)
        return page(request, "_song.html", context | {"heading": heading, "linked": heading != "h1"})

    async def read_song(request: Request, job_id: str) -> dict[str, object]:
        caller = await identify(request)
        job = await run_in_threadpool(jobs.get, job_id)
        caller.check_sees(job)
        position = await run_in_threadpool(jobs.queue_position, job)
        return song_context(job, position, origin=origin(request))

    return router


def song_context(job: Job, position: int | None, *, origin: str) -> dict[str, object]:
    """The variables of `_song.html`."""
    current_stage = stage_of(job, now=store_time())
    context: dict[str, object] = {
        "job": job,
        "origin": origin,
        "answer": report_text.answer(job),
        "stage_label": _STAGE_LABELS.get(current_stage, current_stage),
        "stage_sentence": _stage_sentence(current_stage, position, job),
    }
    if job.report is None:
        return context
    tuning = job.report.tuning
    is_found = tuning.a4_hz is not None and tuning.verdict != "inconclusive"
    return context | {
        "alternatives": tuning_text.alternatives(tuning) if is_found else None,
        "compare_hz": report_text.compare_hz(tuning),
        "uncertainty_hz": report_text.uncertainty_hz(tuning),
        "confidence": report_text.confidence(tuning) if is_found else None,
        "remarks": report_text.remarks(job.report) if is_found else [],
        "histogram": histogram_chart(tuning),
        "spectrum": spectrum_chart(tuning),
    }


def _stage_sentence(current_stage: str, position: int | None, job: Job) -> str:
    match current_stage:
        case "waiting" if position == 0:
            return "Next in line."
        case "waiting" if position == 1:
            return "Waiting. 1 song is ahead of this one."
        case "waiting" if position:
            return f"Waiting. {position} songs are ahead of this one."
        case "waiting_to_retry":
            return "Something went wrong. We will try again in a moment."
        case "listening" if job.attempts > 1:
            return f"Analyzing, attempt {job.attempts}…"
        case "listening":
            return "Analyzing…"
    if job.state is JobState.AWAITING_UPLOAD:
        return "Waiting for the upload."
    return f"{current_stage.capitalize()}."


def _ruler() -> list[Tick]:
    """One tick per hertz, spaced by pitch."""
    low, high = _RULER_HZ
    return [
        Tick(
            x=round(math.log(hz / low) / math.log(high / low) * _RULER_WIDTH, 1),
            height=34 if hz in _LABELED_HZ else 18 if hz % 5 == 0 else 10,
            label=str(hz) if hz in _LABELED_HZ else "",
        )
        for hz in range(math.ceil(low) + 1, math.ceil(high))
    ]
