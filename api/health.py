"""/healthz: this process runs. /readyz: its dependencies respond."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response

from shared.errors import Unavailable
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobStore
from shared.ports.workers import WorkerRegistry
from shared.schemas.job import View


class HealthView(View):
    """This process runs."""

    status: Literal["ok"] = "ok"


class ReadyView(View):
    """`ready`: a new job is accepted and run. `degraded`: it is accepted, but no worker is running."""

    status: Literal["ready", "degraded", "unavailable"]
    jobs: bool
    audio: bool
    workers: int


def health_router(*, jobs: JobStore, audio: AudioStore, workers: WorkerRegistry) -> APIRouter:
    """The routes for load balancers and monitoring."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Check that the process runs")
    async def healthz() -> HealthView:  # async: responds even if every thread is busy
        return HealthView()

    @router.get(
        "/readyz",
        summary="Check the dependencies",
        responses={503: {"model": ReadyView, "description": "A dependency is unavailable."}},
    )
    def readyz(response: Response) -> ReadyView:
        """503 if jobs or audio can't be stored. 200 and `degraded` if no worker is running."""
        ready = check()
        if ready.status == "unavailable":
            response.status_code = 503
        return ready

    def check() -> ReadyView:
        jobs_ok, audio_ok = _responds(jobs.check), _responds(audio.check)
        try:
            workers_alive = len(workers.list_alive())
        except Unavailable:
            workers_alive = 0
        status: Literal["ready", "degraded", "unavailable"] = "ready" if workers_alive else "degraded"
        if not (jobs_ok and audio_ok):
            status = "unavailable"
        return ReadyView(status=status, jobs=jobs_ok, audio=audio_ok, workers=workers_alive)

    return router


def _responds(check: Callable[[], None]) -> bool:
    try:
        check()
    except Unavailable:
        return False
    return True
