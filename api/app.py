"""create_app: routers, error map, lifespan. Assembly only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from api.access import Doorkeeper
from api.acts import Acts, acts_router
from api.budget import BufferBudget
from api.direct import DirectUploads, direct_router
from api.errors import add_error_handlers
from api.events import events_router
from api.health import health_router
from api.idempotency import Idempotency
from api.in_flight import UploadsInFlight
from api.jobs import jobs_router
from api.openapi import describe
from api.pages import pages_router
from api.rendering import assets
from api.request_log import RequestLog
from api.resumable import ResumableUploads
from api.submit import Submissions
from api.terms import JobTerms
from api.tus import tus_router
from api.wakeups import Wakeups, ending_on_signals
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.ports import (
    AudioStore,
    ClaimStore,
    DirectStore,
    JobQueue,
    JobStore,
    KeyStore,
    PartStore,
    ResumableStore,
    Transitions,
    UploadRegistry,
    WorkerRegistry,
)

_log = get_logger(__name__)


def create_app(
    *,
    jobs: JobStore,
    audio: AudioStore,
    queue: JobQueue,
    workers: WorkerRegistry,
    keys: KeyStore,
    anonymous: bool,
    transitions: Transitions,
    uploads: UploadRegistry,
    claims: ClaimStore,
    direct: DirectStore,
    parts: PartStore,
    resumables: ResumableStore,
    terms: JobTerms,
    keep_audio: bool = False,
    prepare: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The HTTP face over any adapters. `prepare` runs at start, until it succeeds.

    `anonymous`: take jobs of callers without an API key.
    """

    wakeups = Wakeups(transitions)
    in_flight = UploadsInFlight(uploads)
    submissions = Submissions(
        jobs=jobs,
        audio=audio,
        queue=queue,
        terms=terms,
        budget=BufferBudget(terms.upload_buffer_bytes, part_bytes=audio.part_bytes),
        in_flight=in_flight,
        idempotency=Idempotency(claims),
    )
    resumable_uploads = ResumableUploads(
        submissions=submissions, parts=parts, store=resumables, seconds=terms.direct_upload_seconds
    )
    direct_uploads = DirectUploads(
        store=direct, parts=parts, submissions=submissions, seconds=terms.direct_upload_seconds
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_until_prepared(prepare)), asyncio.create_task(wakeups.run())]
        tasks.append(asyncio.create_task(in_flight.beat_for_ever()))
        with ending_on_signals(wakeups):
            yield
        for task in tasks:
            task.cancel()

    app = FastAPI(
        title="Kammerton",
        version="0.1.0",
        summary="Which reference pitch is a song tuned to?",
        lifespan=lifespan,
    )
    app.state.doorkeeper = Doorkeeper(keys, anonymous=anonymous)
    add_error_handlers(app)
    app.include_router(
        jobs_router(jobs=jobs, wakeups=wakeups, submissions=submissions, direct=direct_uploads)
    )
    app.include_router(direct_router(direct_uploads))
    app.include_router(tus_router(resumable_uploads))
    app.include_router(events_router(jobs=jobs, wakeups=wakeups))
    acts = Acts(jobs=jobs, audio=audio, queue=queue, attempts=terms.attempts, keep_audio=keep_audio)
    app.include_router(acts_router(acts))
    app.include_router(pages_router(jobs=jobs, max_upload_bytes=terms.max_upload_bytes))
    app.mount("/static", assets())
    app.include_router(health_router(jobs=jobs, audio=audio, workers=workers))
    describe(app, anonymous=anonymous)
    app.add_middleware(RequestLog)  # the last one added is the outermost
    return app


async def _until_prepared(prepare: Callable[[], None]) -> None:
    """Storage may come up after us."""
    while True:
        try:
            return await run_in_threadpool(prepare)
        except Unavailable as error:
            _log.warning("storage_not_prepared", why=error.message)
            await asyncio.sleep(2)
