"""create_app: routers, error map, lifespan. Assembly only."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from api.access import Doorkeeper
from api.acting import Operations
from api.acts import Acts, acts_router
from api.addresses import Addresses
from api.admin import admin_router
from api.admin_api import admin_api_router
from api.admin_keys import keys_router
from api.admin_login import lead_to_login, login_router
from api.admission import Admission
from api.batch_acts import BatchActs
from api.batch_items import BatchItems
from api.batches import batches_router
from api.board import Board
from api.direct import direct_router
from api.errors import add_error_handlers
from api.events import events_router
from api.forecast import Forecast
from api.headers import add_web
from api.health import health_router
from api.in_flight import UploadsInFlight
from api.intake import Intake
from api.jobs import jobs_router
from api.limits import RequestLimit
from api.metrics import SharedNumbers, metrics_router
from api.openapi import describe
from api.pages import pages_router
from api.reference import reference_router
from api.rendering import assets
from api.request_log import RequestLog
from api.rules import Rules
from api.sessions import Sessions
from api.timely import TimelyBody
from api.tus import tus_router
from api.upkeep import Upkeep, until_prepared
from api.visitors import recognizer
from api.wakeups import Wakeups, ending_on_signals
from api.webhook_acts import WebhookActs
from api.webhooks import webhooks_router
from shared.access_ports import KeyStore, Limiter
from shared.stores import Stores

_BODY_BYTES = 1024 * 1024
"""Of requests that are no upload."""


def create_app(
    stores: Stores, *, rules: Rules, addresses: Addresses, sessions: Sessions, upkeep: Upkeep
) -> FastAPI:
    """The HTTP face over any adapters."""
    wakeups = Wakeups(stores.transitions)
    in_flight = UploadsInFlight(stores.uploads)
    intake = Intake.over(stores, rules=rules, addresses=addresses, in_flight=in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        others = wakeups.run(), in_flight.beat_for_ever(), until_prepared(sessions.prepare)
        async with upkeep.beside(*others):
            with ending_on_signals(wakeups):
                yield

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
    app.state.doorkeeper = Doorkeeper(stores.keys, anonymous=rules.anonymous)
    app.state.admission = Admission(limiter=stores.limiter, jobs=stores.jobs, limits=rules.limits)
    add_error_handlers(app)
    lead_to_login(app)
    acts = Acts(
        jobs=stores.jobs,
        audio=stores.audio,
        queue=stores.queue,
        attempts=rules.terms.attempts,
        keep_audio=rules.keep_audio,
        forget_webhooks=stores.deliveries.forget,
    )
    batches = _batch_acts(stores, rules=rules, addresses=addresses, intake=intake, acts=acts)
    operations = Operations(board=_board(stores, rules), acts=acts)
    for router in (
        *_of_jobs(stores, intake=intake, batches=batches, wakeups=wakeups),
        pages_router(
            jobs=stores.jobs, max_upload_bytes=rules.terms.max_upload_bytes, anonymous=rules.anonymous
        ),
        reference_router(),
        *_of_the_dashboard(operations, keys=stores.keys, sessions=sessions, wakeups=wakeups),
        health_router(jobs=stores.jobs, audio=stores.audio, workers=stores.workers),
        metrics_router(
            numbers=SharedNumbers(
                store=stores.counts, jobs=stores.jobs, workers=stores.workers, queues=rules.limits.queues
            ),
            books=upkeep.books,
            buffers_in_use=lambda: intake.submissions.budget.held_bytes,
            public=rules.metrics_public,
        ),
    ):
        app.include_router(router)
    app.mount("/static", assets())
    describe(app, anonymous=rules.anonymous)
    _wrap(app, rules, limiter=stores.limiter, upkeep=upkeep)
    return app


def _batch_acts(
    stores: Stores, *, rules: Rules, addresses: Addresses, intake: Intake, acts: Acts
) -> BatchActs:
    return BatchActs(
        batches=stores.batches,
        items=BatchItems(direct=intake.direct, addressed=intake.addressed),
        acts=acts,
        webhooks=WebhookActs(
            deliveries=stores.deliveries, endpoints=stores.endpoints, check_url=addresses.of_callbacks
        ),
        forecast=Forecast(
            jobs=stores.jobs,
            workers=stores.workers,
            history=stores.history,
            controls=stores.controls,
            first_queue=rules.limits.queues[0],
        ),
    )


def _of_jobs(stores: Stores, *, intake: Intake, batches: BatchActs, wakeups: Wakeups) -> Iterator[APIRouter]:
    webhooks = batches.webhooks
    yield jobs_router(intake, jobs=stores.jobs, wakeups=wakeups, webhooks=webhooks, forecast=batches.forecast)
    yield direct_router(intake.direct)
    yield webhooks_router(webhooks, jobs=stores.jobs)
    yield tus_router(intake.resumable)
    yield events_router(jobs=stores.jobs, wakeups=wakeups)
    yield acts_router(batches.acts)
    yield batches_router(batches)


def _of_the_dashboard(
    operations: Operations, *, keys: KeyStore, sessions: Sessions, wakeups: Wakeups
) -> Iterator[APIRouter]:
    recognize = recognizer(sessions)
    yield login_router(sessions)
    yield admin_api_router(operations, wakeups=wakeups, recognize=recognize)
    yield keys_router(operations, keys, recognize=recognize)
    yield admin_router(operations, recognize=recognize)


def _board(stores: Stores, rules: Rules) -> Board:
    return Board(
        jobs=stores.jobs,
        audio=stores.audio,
        workers=stores.workers,
        overview=stores.overview,
        history=stores.history,
        controls=stores.controls,
        audit=stores.audit,
        deliveries=stores.deliveries,
        endpoints=stores.endpoints,
        uploads=stores.uploads,
        queues=rules.limits.queues,
    )


def _wrap(app: FastAPI, rules: Rules, *, limiter: Limiter, upkeep: Upkeep) -> None:
    """What every request goes through; the last one added is the outermost."""
    if rules.limits.requests_per_minute is not None:
        app.add_middleware(RequestLimit, limiter=limiter, per_minute=rules.limits.requests_per_minute)
    app.add_middleware(
        TimelyBody,
        idle_seconds=2 * rules.terms.upload_idle_seconds,
        least_bytes_per_second=rules.terms.upload_least_bytes_per_second,
    )
    add_web(app, rules.web)
    app.add_middleware(RequestLog, tally=upkeep.books.tally, traces=upkeep.traces)
