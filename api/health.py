"""/healthz: this process runs. /readyz: what it depends on answers."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from shared.errors import Unavailable
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobStore
from shared.ports.workers import WorkerRegistry
from shared.schemas.job import View


class HealthView(View):
    """This process runs."""

    status: Literal["ok"] = "ok"


class ReadyView(View):
    """`ready`: a job would be accepted and run. `degraded`: accepted, but nobody is at work."""

    status: Literal["ready", "degraded", "unavailable"]
    jobs: bool
    audio: bool
    workers: int


def health_router(*, jobs: JobStore, audio: AudioStore, workers: WorkerRegistry) -> APIRouter:
    """The routes for load balancers and people on call."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Does this process run?")
    async def healthz() -> HealthView:
        return HealthView()

    @router.get(
        "/readyz",
        summary="Do its dependencies answer?",
        responses={503: {"model": ReadyView, "description": "A dependency does not answer."}},
    )
    async def readyz(response: Response) -> ReadyView:
        """503 while jobs or audio can't be stored; 200 and `degraded` while no worker is alive."""
        ready = await run_in_threadpool(_look)
        if ready.status == "unavailable":
            response.status_code = 503
        return ready

    def _look() -> ReadyView:
        jobs_answer, audio_answers = _answers(jobs.check), _answers(audio.check)
        try:
            at_work = len(workers.list_alive())
        except Unavailable:
            at_work = 0
        status: Literal["ready", "degraded", "unavailable"] = "ready" if at_work else "degraded"
        if not (jobs_answer and audio_answers):
            status = "unavailable"
        return ReadyView(status=status, jobs=jobs_answer, audio=audio_answers, workers=at_work)

    return router


def _answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except Unavailable:
        return False
    return True
