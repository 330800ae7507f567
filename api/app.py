"""create_app: the services, their routes, the error handlers and the middleware."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from api.access.authentication import Authenticator
from api.access.rate_limit import RequestLimit
from api.access.upload_quota import UploadQuota
from api.admin.api_keys import ApiKeys
from api.admin.auth.login import redirect_to_login
from api.admin.auth.sessions import COOKIE, Sessions
from api.admin.bulk_actions import BulkActions
from api.admin.operations import Operations
from api.admin.overview import Overview
from api.admin.routers import ADMIN_ROUTERS
from api.batches import router as batches
from api.batches.reader import BatchReader
from api.batches.schemas import CreateBatch
from api.batches.service import BatchService
from api.config import ApiConfig, UrlChecks
from api.health import health_router
from api.http.background import BackgroundTasks, retry_until_ready
from api.http.compression import Compression
from api.http.limits.body_limit import BodyLimitProblem
from api.http.limits.concurrency import ConcurrencyLimit
from api.http.limits.freed_memory import CountOpenRequests, FreedMemory
from api.http.limits.slow_clients import BodyTimeout
from api.http.openapi import DESCRIPTION, complete_openapi, operation_id
from api.http.problems import add_error_handlers
from api.http.provided import provide
from api.http.request_log import RequestLog
from api.http.root_path import RootPath
from api.http.routes import HeadAndOptions
from api.http.security_headers import add_http_middleware
from api.http.templating import assets
from api.jobs import events
from api.jobs import router as jobs
from api.jobs.reader import JobReader
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates, close_on_signals
from api.metrics import SharedMetricsCollector, metrics_router
from api.services import ApiServices
from api.tus import router as tus
from api.tus.protocol import TusProtocol
from api.tus.service import TusService
from api.uploads import router as uploads
from api.uploads.idempotency import Idempotency
from api.uploads.options import JobFromUpload, JobFromUrl
from api.uploads.router import JobCreation
from api.uploads.schemas import CreateUpload
from api.web.docs_pages import docs_router
from api.web.pages import PublicPages, pages_router, shared_pages_router
from api.web.result_links import ResultLinks
from api.webhooks import router as webhooks
from api.webhooks.service import WebhookService
from shared.observability.recorder import MetricsBuffer
from shared.ports.admin import AuditLog
from shared.ports.jobs import JobStore
from shared.ports.stores import Stores
from shared.ports.workers import WorkerControl
from shared.version import VERSION

_JSON_BODIES = (CreateBatch, CreateUpload, JobFromUpload, JobFromUrl)
"""Bodies that routes read themselves, so that FastAPI does not see their types."""
_JOB_ROUTERS = (
    uploads.router,
    jobs.router,
    uploads.presigned_router,
    webhooks.router,
    webhooks.job_router,
    tus.router,
    events.router,
    batches.router,
)
_MAX_BODY_BYTES = 1024 * 1024
"""The limit of request bodies that are not uploads."""


def create_app(
    stores: Stores,
    *,
    config: ApiConfig,
    url_checks: UrlChecks,
    sessions: Sessions,
    background: BackgroundTasks,
) -> FastAPI:
    """The API over any stores."""
    services = ApiServices.build(stores, config=config, url_checks=url_checks)
    freed_memory = FreedMemory()
    app = _new_app(services, freed_memory, sessions=sessions, background=background)
    app.state.services = services
    app.state.authenticator = Authenticator(stores.api_keys, anonymous=config.allow_anonymous)
    app.state.upload_quota = UploadQuota(
        limiter=stores.rate_limiter, jobs=stores.jobs, limits=config.rate_limits
    )
    add_error_handlers(app)
    redirect_to_login(app)
    links = ResultLinks(sessions.secret_key)
    provide(
        app,
        _provided(stores, services)
        | _provided_to_dashboard(stores, services)
        | {Sessions: sessions, ResultLinks: links, MetricsBuffer: background.metrics_recorder.buffer},
    )
    for router in (
        *_JOB_ROUTERS,
        *_page_routers(stores, config, links),
        *ADMIN_ROUTERS,
        *_monitoring_routers(stores, services, config=config, background=background),
    ):
        app.include_router(router, max_body_size=_MAX_BODY_BYTES)
    app.mount("/static", assets())
    complete_openapi(app, anonymous=config.allow_anonymous, bodies=_JSON_BODIES)
    _add_middleware(app, stores, config=config, sessions=sessions, background=background)
    app.add_middleware(CountOpenRequests, freed_memory=freed_memory)
    return app


def _new_app(
    services: ApiServices, freed_memory: FreedMemory, *, sessions: Sessions, background: BackgroundTasks
) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = (
            services.updates.run(),
            services.active_uploads.send_heartbeats(),
            freed_memory.trim_after_peaks(),
            retry_until_ready(sessions.prepare),
        )
        async with background.running(*tasks):
            with close_on_signals(services.updates):
                yield

    return FastAPI(
        title="Kammerton",
        version=VERSION,
        summary="Which reference pitch is a song tuned to?",
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # would record file names
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
        generate_unique_id_function=operation_id,
        **DESCRIPTION,
    )


def _provided(stores: Stores, services: ApiServices) -> dict[Any, object]:
    """What the route handlers receive, by class."""
    uploads = services.uploads
    direct = uploads.direct
    reader = JobReader(
        jobs=stores.jobs,
        updates=services.updates,
        webhooks=services.webhooks,
        wait_estimate=services.wait_estimate,
    )
    creation = JobCreation(
        uploads=direct, presigned=uploads.presigned, source_urls=uploads.source_urls, reader=reader
    )
    batch_reader = BatchReader(
        pool=direct.pool, new_timeout=direct.new_timeout, wait_seconds=direct.limits.upload_wait_seconds
    )
    return {
        BatchReader: batch_reader,
        BatchService: services.batches,
        Idempotency: direct.idempotency,
        JobActions: services.actions,
        JobCreation: creation,
        JobReader: reader,
        JobStore: stores.jobs,
        JobUpdates: services.updates,
        TusService: uploads.tus,
        WebhookService: services.webhooks,
        WorkerControl: stores.worker_control,
    }


def _provided_to_dashboard(stores: Stores, services: ApiServices) -> dict[Any, object]:
    overview = services.overview
    return {
        ApiKeys: ApiKeys(keys=stores.api_keys, audit=overview.audit),
        AuditLog: overview.audit,
        BulkActions: BulkActions(overview=overview, job_actions=services.actions, store=overview.store),
        Operations: Operations(overview=overview, webhooks=services.webhooks),
        Overview: overview,
    }


def _page_routers(stores: Stores, config: ApiConfig, links: ResultLinks) -> Iterator[APIRouter]:
    pages = PublicPages(
        jobs=stores.jobs,
        links=links,
        paused_queues=stores.worker_control.paused,
        max_upload_bytes=config.job_limits.max_upload_bytes,
        anonymous=config.allow_anonymous,
    )
    yield pages_router(pages)
    yield shared_pages_router(pages)
    yield docs_router()


def _monitoring_routers(
    stores: Stores, services: ApiServices, *, config: ApiConfig, background: BackgroundTasks
) -> Iterator[APIRouter]:
    yield health_router(jobs=stores.jobs, audio=stores.audio, workers=stores.workers)
    yield metrics_router(
        shared_metrics=SharedMetricsCollector(
            store=stores.metrics,
            jobs=stores.jobs,
            workers=stores.workers,
            queues=config.rate_limits.queues,
            pending=background.metrics_recorder.buffer.pending,
        ),
        recorder=background.metrics_recorder,
        buffer_bytes_in_use=lambda: services.uploads.direct.pool.used_bytes,
        public=config.metrics_public,
    )


def _add_middleware(
    app: FastAPI, stores: Stores, *, config: ApiConfig, sessions: Sessions, background: BackgroundTasks
) -> None:
    """Add what every request passes through. The last one added is the outermost."""
    app.add_middleware(Compression)
    app.add_middleware(HeadAndOptions)
    app.add_middleware(BodyLimitProblem, max_bytes=_MAX_BODY_BYTES)
    if config.rate_limits.requests_per_minute is not None:
        app.add_middleware(
            RequestLimit,
            limiter=stores.rate_limiter,
            per_minute=config.rate_limits.requests_per_minute,
            session_subject=lambda request: sessions.limit_subject(request.cookies.get(COOKIE)),
        )
    app.add_middleware(
        BodyTimeout,
        idle_seconds=2 * config.job_limits.upload_idle_timeout_seconds,
        min_bytes_per_second=config.job_limits.upload_min_bytes_per_second,
    )
    app.add_middleware(ConcurrencyLimit, max_requests=config.http.max_concurrent_requests)
    add_http_middleware(app, config.http)
    app.add_middleware(TusProtocol)
    app.add_middleware(RequestLog, buffer=background.metrics_recorder.buffer, traces=background.traces)
    app.add_middleware(RootPath)
