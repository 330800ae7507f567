"""The start page and the pages of results: `/`, `/jobs/{id}` and `/r/{token}`.

They also work without JavaScript.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from api.access.authentication import identify
from api.http.templating import origin, page
from api.jobs.event_stream import stage_of
from api.web import report_text
from api.web.card import card_png
from api.web.charts import drift_chart, histogram_chart, spectrum_chart
from api.web.result_links import ResultLinks
from api.web.stage_text import LABELS, SENTENCES, stage_sentence
from shared.clock import store_time
from shared.domain import tuning_text
from shared.domain.job import Job
from shared.errors import NotFound
from shared.ports.jobs import JobStore
from shared.schemas.job import JobView

_TUS = "/v1/tus"
"""Resumable uploads: with them, a large upload can be paused."""
_RULER_HZ = (425.0, 447.0)
_RULER_WIDTH = 800.0
_LABELED_HZ = frozenset({432, 440, 442})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPages:
    """What the public pages need."""

    jobs: JobStore
    links: ResultLinks
    paused_queues: Callable[[], Collection[str]]
    max_upload_bytes: int
    anonymous: bool
    """Whether songs can be uploaded without an API key."""

    def song(self, request: Request, job: Job) -> dict[str, object]:
        """The variables of `_song.html`."""
        position = self.jobs.queue_position(job)
        paused = self.paused_queues() if position is not None else ()
        return song_context(job, position, origin=origin(request), links=self.links, paused_queues=paused)


def pages_router(pages: PublicPages) -> APIRouter:
    """The public pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def start_page(request: Request) -> HTMLResponse:
        return page(
            request,
            "start.html",
            {
                "ruler": _ruler(),
                "max_bytes": pages.max_upload_bytes,
                "origin": origin(request),
                "tus": _TUS if _TUS in request.app.openapi()["paths"] else "",
                "anonymous": pages.anonymous,
                "stages": SENTENCES,
            },
        )

    @router.get("/jobs/{job_id}")
    async def result_page(request: Request, job_id: Annotated[str, Path(max_length=128)]) -> HTMLResponse:
        try:
            context = await read_song(request, job_id)
        except NotFound:
            return page(request, "message.html", _NOT_FOUND, status=404)
        return _result_page(request, context)

    @router.get("/jobs/{job_id}/card.png", response_class=Response)
    async def picture(request: Request, job_id: Annotated[str, Path(max_length=128)]) -> Response:
        caller = await identify(request)
        job = await run_in_threadpool(pages.jobs.get, job_id)
        caller.check_can_read(job)
        return await run_in_threadpool(_picture, job)

    @router.get("/jobs/{job_id}/card")
    async def card(
        request: Request,
        job_id: Annotated[str, Path(max_length=128)],
        heading: Annotated[Literal["h1", "h2", "h3"], Query()] = "h3",
    ) -> HTMLResponse:
        context = await read_song(request, job_id)
        return page(request, "_song.html", context | {"heading": heading, "is_shared": False})

    async def read_song(request: Request, job_id: str) -> dict[str, object]:
        caller = await identify(request)
        job = await run_in_threadpool(pages.jobs.get, job_id)
        caller.check_can_read(job)
        return await run_in_threadpool(pages.song, request, job)

    return router


def shared_pages_router(pages: PublicPages) -> APIRouter:
    """The pages of results that anyone with the link can open."""
    router = APIRouter(prefix="/r", include_in_schema=False)

    @router.get("/{token}")
    def shared_result_page(request: Request, token: Annotated[str, Path(max_length=200)]) -> HTMLResponse:
        try:
            job = pages.jobs.get(pages.links.verify(token))
        except NotFound:
            return page(request, "message.html", _NOT_FOUND, status=404)
        return _result_page(request, pages.song(request, job) | {"is_shared": True})

    @router.get("/{token}/card.png", response_class=Response)
    def shared_picture(token: Annotated[str, Path(max_length=200)]) -> Response:
        return _picture(pages.jobs.get(pages.links.verify(token)))

    @router.get("/{token}/job.json")
    def shared_job(token: Annotated[str, Path(max_length=200)]) -> JobView:
        return JobView.of(pages.jobs.get(pages.links.verify(token)))

    return router


def _picture(job: Job) -> Response:
    """The picture of a result's link. Raises NotFound before there is a result."""
    answer = report_text.answer(job)
    if answer is None:
        raise NotFound("The song is not analyzed yet. Try again when it is.")
    return Response(
        card_png(job, answer.headline),
        media_type="image/png",
        headers={"Cache-Control": "private, max-age=3600"},
    )


def _result_page(request: Request, context: dict[str, object]) -> HTMLResponse:
    defaults: dict[str, object] = {"heading": "h1", "is_shared": False, "stages": SENTENCES}
    response = page(request, "job.html", defaults | context)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def song_context(
    job: Job,
    position: int | None,
    *,
    origin: str,
    links: ResultLinks,
    paused_queues: Collection[str] = (),
) -> dict[str, object]:
    """The variables of `_song.html`."""
    current_stage = stage_of(job, now=store_time(), paused_queues=paused_queues)
    context: dict[str, object] = {
        "job": job,
        "origin": origin,
        "answer": report_text.answer(job),
        "stage_label": LABELS.get(current_stage, current_stage),
        "stage_sentence": stage_sentence(current_stage, position=position, attempt=job.attempts),
        "result_path": links.path(job),
        "json_path": links.json_path(job),
    }
    if job.report is None:
        return context | {"summary": None}
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
        "drift": drift_chart(tuning),
        "summary": report_text.summary(job.input.filename, tuning),
    }


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
