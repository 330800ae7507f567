"""create_app: routers, error map, lifespan. Assembly only."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from fastapi import APIRouter, FastAPI

from api.access.authentication import Authenticator
from api.access.rate_limit import RequestLimit
from api.access.upload_quota import UploadQuota
from api.admin.auth.login import redirect_to_login
from api.admin.auth.sessions import Sessions
from api.admin.overview import Overview
from api.admin.routers import admin_routers
from api.batches.items import BatchItems
from api.batches.router import batches_router
from api.batches.service import BatchService
from api.config import Addresses, ApiConfig
from api.health import health_router
from api.http.background import Upkeep, until_prepared
from api.http.openapi import describe
from api.http.problems import add_error_handlers
from api.http.request_log import RequestLog
from api.http.security_headers import add_web
from api.http.slow_clients import BodyTimeout
from api.http.templating import assets
from api.jobs.events import events_router
from api.jobs.router import job_actions_router, jobs_router
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates, ending_on_signals
from api.jobs.wait_estimate import WaitEstimate
from api.metrics import SharedMetricsCollector, metrics_router
from api.tus.router import tus_router
from api.tus.service import TusService
from api.tus.storage import TusStorage
from api.uploads.active_uploads import ActiveUploads
from api.uploads.buffer_pool import BufferPool
from api.uploads.idempotency import Idempotency
from api.uploads.presigned import PresignedUploadService
from api.uploads.report_cache import ReportCache
from api.uploads.router import presigned_router, submit_router
from api.uploads.service import UploadService
from api.uploads.source_url import SourceUrlService
from api.web.api_reference import reference_router
from api.web.pages import pages_router
from api.webhooks.router import webhooks_router
from api.webhooks.service import WebhookService
from shared.ports.access import RateLimiter
from shared.ports.stores import Stores
from shared.version import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """All of them end in the same jobs, and share one budget of buffers."""

    submissions: UploadService
    resumable: TusService
    direct: PresignedUploadService
    addressed: SourceUrlService

    @classmethod
    def over(
        cls, stores: Stores, *, rules: ApiConfig, addresses: Addresses, in_flight: ActiveUploads
    ) -> Self:
        """Made of what is outside and what is promised."""
        terms = rules.terms
        submissions = UploadService(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            terms=terms,
            budget=BufferPool(terms.upload_buffer_bytes, part_bytes=stores.audio.part_bytes),
            in_flight=in_flight,
            idempotency=Idempotency(stores.idempotency),
            known=ReportCache(
                recall=stores.report_index if rules.reuse_reports else None,
                window_seconds=terms.window_seconds,
            ),
            check_url=addresses.of_callbacks,
        )
        return cls(
            submissions=submissions,
            resumable=TusService(
                submissions=submissions,
                arrivals=TusStorage(
                    jobs=stores.jobs, audio=stores.audio, parts=stores.parts, store=stores.tus_uploads
                ),
                seconds=terms.direct_upload_seconds,
            ),
            direct=PresignedUploadService(
                store=stores.presigned_uploads,
                parts=stores.parts,
                submissions=submissions,
                seconds=terms.direct_upload_seconds,
            ),
            addressed=SourceUrlService(
                submissions=submissions,
                check_url=addresses.of_sources,
                counts_as_bytes=terms.source_counts_as_bytes,
            ),
        )


_BODY_BYTES = 1024 * 1024
"""Of requests that are no upload."""


def create_app(
    stores: Stores, *, rules: ApiConfig, addresses: Addresses, sessions: Sessions, upkeep: Upkeep
) -> FastAPI:
    """The HTTP face over any adapters."""
    wakeups = JobUpdates(stores.job_updates)
    in_flight = ActiveUploads(stores.upload_registry)
    intake = Intake.over(stores, rules=rules, addresses=addresses, in_flight=in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        others = wakeups.run(), in_flight.beat_for_ever(), until_prepared(sessions.prepare)
        async with upkeep.beside(*others):
            with ending_on_signals(wakeups):
                yield

    app = FastAPI(
        title="Kammerton",
        version=VERSION,
        summary="Which reference pitch is a song tuned to?",
        lifespan=lifespan,
        max_body_size=_BODY_BYTES,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would tell of file names
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
    )
    app.state.doorkeeper = Authenticator(stores.api_keys, anonymous=rules.anonymous)
    app.state.admission = UploadQuota(limiter=stores.rate_limiter, jobs=stores.jobs, limits=rules.limits)
    add_error_handlers(app)
    redirect_to_login(app)
    acts = JobActions(
        jobs=stores.jobs,
        audio=stores.audio,
        queue=stores.queue,
        attempts=rules.terms.attempts,
        keep_audio=rules.keep_audio,
        forget_webhooks=stores.deliveries.delete_all_about,
    )
    batches = _batch_acts(stores, rules=rules, addresses=addresses, intake=intake, acts=acts)
    for router in (
        *_of_jobs(stores, intake=intake, batches=batches, wakeups=wakeups),
        pages_router(
            jobs=stores.jobs, max_upload_bytes=rules.terms.max_upload_bytes, anonymous=rules.anonymous
        ),
        reference_router(),
        *admin_routers(
            _overview(stores, rules),
            sessions=sessions,
            keys=stores.api_keys,
            job_actions=acts,
            webhooks=batches.webhooks,
            updates=wakeups,
        ),
        health_router(jobs=stores.jobs, audio=stores.audio, workers=stores.workers),
        metrics_router(
            numbers=SharedMetricsCollector(
                store=stores.metrics, jobs=stores.jobs, workers=stores.workers, queues=rules.limits.queues
            ),
            books=upkeep.books,
            buffers_in_use=lambda: intake.submissions.budget.held_bytes,
            public=rules.metrics_public,
        ),
    ):
        app.include_router(router)
    app.mount("/static", assets())
    describe(app, anonymous=rules.anonymous)
    _wrap(app, rules, limiter=stores.rate_limiter, upkeep=upkeep)
    return app


def _batch_acts(
    stores: Stores, *, rules: ApiConfig, addresses: Addresses, intake: Intake, acts: JobActions
) -> BatchService:
    return BatchService(
        batches=stores.batches,
        items=BatchItems(direct=intake.direct, addressed=intake.addressed),
        acts=acts,
        webhooks=WebhookService(
            deliveries=stores.deliveries, endpoints=stores.endpoints, check_url=addresses.of_callbacks
        ),
        forecast=WaitEstimate(
            jobs=stores.jobs,
            workers=stores.workers,
            history=stores.history,
            controls=stores.worker_control,
            first_queue=rules.limits.queues[0],
        ),
    )


def _of_jobs(
    stores: Stores, *, intake: Intake, batches: BatchService, wakeups: JobUpdates
) -> Iterator[APIRouter]:
    webhooks = batches.webhooks
    yield submit_router(intake.submissions, direct=intake.direct, addressed=intake.addressed)
    yield jobs_router(jobs=stores.jobs, wakeups=wakeups, webhooks=webhooks, forecast=batches.forecast)
    yield presigned_router(intake.direct)
    yield webhooks_router(webhooks, jobs=stores.jobs)
    yield tus_router(intake.resumable)
    yield events_router(jobs=stores.jobs, wakeups=wakeups)
    yield job_actions_router(batches.acts)
    yield batches_router(batches)


def _overview(stores: Stores, rules: ApiConfig) -> Overview:
    return Overview(
        jobs=stores.jobs,
        audio=stores.audio,
        workers=stores.workers,
        search=stores.job_search,
        history=stores.history,
        controls=stores.worker_control,
        audit=stores.audit_log,
        deliveries=stores.deliveries,
        endpoints=stores.endpoints,
        uploads=stores.upload_registry,
        queues=rules.limits.queues,
    )


def _wrap(app: FastAPI, rules: ApiConfig, *, limiter: RateLimiter, upkeep: Upkeep) -> None:
    """What every request goes through; the last one added is the outermost."""
    if rules.limits.requests_per_minute is not None:
        app.add_middleware(RequestLimit, limiter=limiter, per_minute=rules.limits.requests_per_minute)
    app.add_middleware(
        BodyTimeout,
        idle_seconds=2 * rules.terms.upload_idle_seconds,
        least_bytes_per_second=rules.terms.upload_least_bytes_per_second,
    )
    add_web(app, rules.web)
    app.add_middleware(RequestLog, tally=upkeep.books.tally, traces=upkeep.traces)
