"""create_app: routers, error map, lifespan. Assembly only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from api.access import Doorkeeper
from api.acting import Operations
from api.acts import Acts, acts_router
from api.admin import admin_router
from api.admin_api import admin_api_router
from api.admin_keys import keys_router
from api.admin_login import lead_to_login, login_router
from api.admission import Admission
from api.batch_acts import BatchActs
from api.batch_items import BatchItems
from api.batches import batches_router
from api.board import Board
from api.budget import BufferBudget
from api.callback import CheckUrl
from api.direct import DirectUploads, direct_router
from api.errors import add_error_handlers
from api.events import events_router
from api.forecast import Forecast
from api.headers import Web, add_web
from api.health import health_router
from api.idempotency import Idempotency
from api.in_flight import UploadsInFlight
from api.jobs import jobs_router
from api.known import KnownSongs
from api.limits import Limits, RequestLimit
from api.metrics import SharedNumbers, metrics_router
from api.openapi import describe
from api.pages import pages_router
from api.reference import reference_router
from api.rendering import assets
from api.request_log import RequestLog
from api.resumable import ResumableUploads
from api.sessions import Sessions
from api.source_url import AddressedJobs
from api.submit import Submissions
from api.terms import JobTerms
from api.tus import tus_router
from api.visitors import recognizer
from api.wakeups import Wakeups, ending_on_signals
from api.webhook_acts import WebhookActs
from api.webhooks import webhooks_router
from shared.access_ports import CountStore, KeyStore, Limiter
from shared.batch_ports import BatchStore
from shared.bookkeeper import Bookkeeper
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.ports import AudioStore, JobQueue, JobStore, Transitions, WorkerRegistry
from shared.traces import Traces
from shared.upload_ports import (
    ClaimStore,
    DirectStore,
    PartStore,
    Recall,
    ResumableStore,
    UploadRegistry,
)

_log = get_logger(__name__)

_WRITE_SECONDS = 10
_BODY_BYTES = 1024 * 1024
"""Of requests that are no upload."""


def create_app(
    *,
    jobs: JobStore,
    batches: BatchStore,
    audio: AudioStore,
    queue: JobQueue,
    workers: WorkerRegistry,
    keys: KeyStore,
    anonymous: bool,
    limiter: Limiter,
    limits: Limits,
    counts: CountStore,
    books: Bookkeeper,
    traces: Traces,
    metrics_public: bool = False,
    transitions: Transitions,
    uploads: UploadRegistry,
    claims: ClaimStore,
    recall: Recall | None,
    direct: DirectStore,
    webhooks: WebhookActs,
    check_source: CheckUrl,
    parts: PartStore,
    resumables: ResumableStore,
    terms: JobTerms,
    web: Web,
    keep_audio: bool = False,
    prepare: Callable[[], None] = lambda: None,
    board: Board,
    sessions: Sessions,
) -> FastAPI:
    """The HTTP face over any adapters. `prepare` runs at start, until it succeeds.

    `anonymous`: take jobs of callers without an API key. `check_source`: judges addresses to fetch from.
    `recall`: None where every upload is analysed.
    """

    wakeups = Wakeups(transitions)
    forecast = Forecast(
        jobs=jobs,
        workers=workers,
        history=board.history,
        controls=board.controls,
        first_queue=limits.queues[0],
    )
    in_flight = UploadsInFlight(uploads)
    submissions = Submissions(
        jobs=jobs,
        audio=audio,
        queue=queue,
        terms=terms,
        budget=BufferBudget(terms.upload_buffer_bytes, part_bytes=audio.part_bytes),
        in_flight=in_flight,
        idempotency=Idempotency(claims),
        known=KnownSongs(recall=recall, window_seconds=terms.window_seconds),
        check_url=webhooks.check_url,
    )
    resumable_uploads = ResumableUploads(
        submissions=submissions, parts=parts, store=resumables, seconds=terms.direct_upload_seconds
    )
    direct_uploads = DirectUploads(
        store=direct, parts=parts, submissions=submissions, seconds=terms.direct_upload_seconds
    )

    addressed_jobs = AddressedJobs(
        submissions=submissions, check_url=check_source, counts_as_bytes=terms.source_counts_as_bytes
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_until_prepared(prepare)), asyncio.create_task(wakeups.run())]
        tasks.append(asyncio.create_task(_keep_writing(books, traces)))
        tasks.append(asyncio.create_task(in_flight.beat_for_ever()))
        tasks.append(asyncio.create_task(_until_prepared(sessions.prepare)))
        with ending_on_signals(wakeups):
            yield
        for task in tasks:
            task.cancel()
        await run_in_threadpool(books.write)
        await run_in_threadpool(traces.write)

    app = FastAPI(
        title="Kammerton",
        version="0.1.0",
        summary="Which reference pitch is a song tuned to?",
        lifespan=lifespan,
        max_body_size=_BODY_BYTES,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell of file names
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
    )
    app.state.doorkeeper = Doorkeeper(keys, anonymous=anonymous)
    app.state.admission = Admission(limiter=limiter, jobs=jobs, limits=limits)
    add_error_handlers(app)
    app.include_router(
        jobs_router(
            jobs=jobs,
            wakeups=wakeups,
            submissions=submissions,
            direct=direct_uploads,
            addressed=addressed_jobs,
            webhooks=webhooks,
            forecast=forecast,
        )
    )
    app.include_router(direct_router(direct_uploads))
    app.include_router(webhooks_router(webhooks, jobs=jobs))
    app.include_router(tus_router(resumable_uploads))
    app.include_router(events_router(jobs=jobs, wakeups=wakeups))
    acts = Acts(
        jobs=jobs,
        audio=audio,
        queue=queue,
        attempts=terms.attempts,
        keep_audio=keep_audio,
        forget_webhooks=webhooks.deliveries.forget,
    )
    app.include_router(acts_router(acts))
    app.include_router(
        batches_router(
            BatchActs(
                batches=batches,
                items=BatchItems(direct=direct_uploads, addressed=addressed_jobs),
                acts=acts,
                webhooks=webhooks,
                forecast=forecast,
            )
        )
    )
    app.include_router(pages_router(jobs=jobs, max_upload_bytes=terms.max_upload_bytes, anonymous=anonymous))
    app.include_router(reference_router())
    recognize = recognizer(sessions)
    operations = Operations(board=board, acts=acts)
    lead_to_login(app)
    app.include_router(login_router(sessions))
    app.include_router(admin_api_router(operations, wakeups=wakeups, recognize=recognize))
    app.include_router(keys_router(operations, keys, recognize=recognize))
    app.include_router(admin_router(operations, recognize=recognize))
    app.mount("/static", assets())
    app.include_router(health_router(jobs=jobs, audio=audio, workers=workers))
    numbers = SharedNumbers(store=counts, jobs=jobs, workers=workers, queues=limits.queues)
    app.include_router(
        metrics_router(
            numbers=numbers,
            books=books,
            buffers_in_use=lambda: submissions.budget.held_bytes,
            public=metrics_public,
        )
    )
    describe(app, anonymous=anonymous)
    if limits.requests_per_minute is not None:
        app.add_middleware(RequestLimit, limiter=limiter, per_minute=limits.requests_per_minute)
    add_web(app, web)
    app.add_middleware(RequestLog, tally=books.tally, traces=traces)  # the last one added is the outermost
    return app


async def _keep_writing(books: Bookkeeper, traces: Traces) -> None:
    while True:
        await asyncio.sleep(_WRITE_SECONDS)
        await run_in_threadpool(books.write)
        await run_in_threadpool(traces.write)


async def _until_prepared(prepare: Callable[[], None]) -> None:
    """Storage may come up after us."""
    while True:
        try:
            return await run_in_threadpool(prepare)
        except Unavailable as error:
            _log.warning("storage_not_prepared", why=error.message)
            await asyncio.sleep(2)
