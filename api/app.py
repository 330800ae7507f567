"""create_app: routers, error map, lifespan. Assembly only."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
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
from api.batches.reader import BatchReader
from api.batches.router import batches_router
from api.batches.service import BatchService
from api.config import Addresses, ApiConfig
from api.health import health_router
from api.http.background import BackgroundTasks, retry_until_ready
from api.http.openapi import complete_openapi
from api.http.problems import add_error_handlers
from api.http.request_log import RequestLog
from api.http.security_headers import add_http_middleware
from api.http.slow_clients import BodyTimeout, MinRateTimeout
from api.http.templating import assets
from api.jobs.events import events_router
from api.jobs.router import job_actions_router, jobs_router
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates, close_on_signals
from api.jobs.wait_estimate import WaitEstimate
from api.metrics import SharedMetricsCollector, metrics_router
from api.tus.router import tus_router
from api.tus.service import TusService
from api.tus.storage import TusStorage
from api.uploads.active_uploads import ActiveUploads
from api.uploads.buffer_pool import BufferPool
from api.uploads.idempotency import Idempotency
from api.uploads.job_factory import JobFactory
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
class Uploads:
    """The ways in for a recording. They share one buffer pool."""

    direct: UploadService
    tus: TusService
    presigned: PresignedUploadService
    source_urls: SourceUrlService

    @classmethod
    def build(
        cls, stores: Stores, *, rules: ApiConfig, addresses: Addresses, active_uploads: ActiveUploads
    ) -> Self:
        """Build all of them over the stores."""
        limits = rules.terms
        pool = BufferPool(limits.upload_buffer_bytes, part_bytes=stores.audio.part_bytes)
        new_timeout = partial(
            MinRateTimeout,
            idle_seconds=limits.upload_idle_seconds,
            least_bytes_per_second=limits.upload_least_bytes_per_second,
            busy=lambda: pool.is_contended,
        )
        idempotency = Idempotency(stores.idempotency)
        factory = JobFactory(
            attempts=limits.attempts,
            keep_seconds=limits.keep_seconds,
            check_callback_url=addresses.of_callbacks,
        )
        direct = UploadService(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            limits=limits,
            pool=pool,
            active_uploads=active_uploads,
            idempotency=idempotency,
            report_cache=ReportCache(
                index=stores.report_index if rules.reuse_reports else None,
                window_seconds=limits.window_seconds,
            ),
            factory=factory,
            new_timeout=new_timeout,
        )
        tus = TusService(
            jobs=stores.jobs,
            queue=stores.queue,
            storage=TusStorage(
                jobs=stores.jobs, audio=stores.audio, parts=stores.parts, uploads=stores.tus_uploads
            ),
            factory=factory,
            pool=pool,
            active_uploads=active_uploads,
            limits=limits,
            new_timeout=new_timeout,
        )
        presigned = PresignedUploadService(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            store=stores.presigned_uploads,
            parts=stores.parts,
            factory=factory,
            idempotency=idempotency,
            max_upload_bytes=limits.max_upload_bytes,
            lifetime_seconds=limits.direct_upload_seconds,
        )
        source_urls = SourceUrlService(
            jobs=stores.jobs,
            queue=stores.queue,
            factory=factory,
            idempotency=idempotency,
            check_url=addresses.of_sources,
            counts_as_bytes=limits.source_counts_as_bytes,
        )
        return cls(direct=direct, tus=tus, presigned=presigned, source_urls=source_urls)


_BODY_BYTES = 1024 * 1024
"""Of requests that are no upload."""


def create_app(
    stores: Stores, *, rules: ApiConfig, addresses: Addresses, sessions: Sessions, background: BackgroundTasks
) -> FastAPI:
    """The HTTP face over any adapters."""
    updates = JobUpdates(stores.job_updates)
    active_uploads = ActiveUploads(stores.upload_registry)
    uploads = Uploads.build(stores, rules=rules, addresses=addresses, active_uploads=active_uploads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        others = updates.run(), active_uploads.send_heartbeats(), retry_until_ready(sessions.prepare)
        async with background.running(*others):
            with close_on_signals(updates):
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
    app.state.authenticator = Authenticator(stores.api_keys, anonymous=rules.anonymous)
    app.state.upload_quota = UploadQuota(limiter=stores.rate_limiter, jobs=stores.jobs, limits=rules.limits)
    add_error_handlers(app)
    redirect_to_login(app)
    acts = JobActions(
        jobs=stores.jobs,
        audio=stores.audio,
        queue=stores.queue,
        attempts=rules.terms.attempts,
        keep_audio=rules.keep_audio,
        delete_webhooks=stores.deliveries.delete_all_about,
    )
    batches = _batch_acts(stores, rules=rules, addresses=addresses, uploads=uploads, acts=acts)
    for router in (
        *_of_jobs(stores, uploads=uploads, batches=batches, updates=updates),
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
            updates=updates,
        ),
        health_router(jobs=stores.jobs, audio=stores.audio, workers=stores.workers),
        metrics_router(
            shared_metrics=SharedMetricsCollector(
                store=stores.metrics, jobs=stores.jobs, workers=stores.workers, queues=rules.limits.queues
            ),
            recorder=background.metrics_recorder,
            buffer_bytes_in_use=lambda: uploads.direct.pool.used_bytes,
            public=rules.metrics_public,
        ),
    ):
        app.include_router(router)
    app.mount("/static", assets())
    complete_openapi(app, anonymous=rules.anonymous)
    _wrap(app, rules, limiter=stores.rate_limiter, background=background)
    return app


def _batch_acts(
    stores: Stores, *, rules: ApiConfig, addresses: Addresses, uploads: Uploads, acts: JobActions
) -> BatchService:
    return BatchService(
        batches=stores.batches,
        items=BatchItems(presigned=uploads.presigned, source_urls=uploads.source_urls),
        actions=acts,
        webhooks=WebhookService(
            deliveries=stores.deliveries, endpoints=stores.endpoints, check_url=addresses.of_callbacks
        ),
        wait_estimate=WaitEstimate(
            jobs=stores.jobs,
            workers=stores.workers,
            history=stores.history,
            worker_control=stores.worker_control,
            priority_queue=rules.limits.queues[0],
        ),
        idempotency=uploads.direct.idempotency,
        keep_seconds=rules.terms.keep_seconds,
    )


def _of_jobs(
    stores: Stores, *, uploads: Uploads, batches: BatchService, updates: JobUpdates
) -> Iterator[APIRouter]:
    webhooks = batches.webhooks
    direct = uploads.direct
    yield submit_router(direct, presigned=uploads.presigned, source_urls=uploads.source_urls)
    yield jobs_router(
        jobs=stores.jobs, updates=updates, webhooks=webhooks, wait_estimate=batches.wait_estimate
    )
    yield presigned_router(uploads.presigned, new_timeout=direct.new_timeout)
    yield webhooks_router(webhooks, jobs=stores.jobs)
    yield tus_router(uploads.tus, idempotency=direct.idempotency)
    yield events_router(jobs=stores.jobs, updates=updates)
    yield job_actions_router(batches.actions)
    yield batches_router(
        batches,
        reader=BatchReader(
            pool=direct.pool,
            new_timeout=direct.new_timeout,
            wait_seconds=direct.limits.upload_wait_seconds,
        ),
    )


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


def _wrap(app: FastAPI, rules: ApiConfig, *, limiter: RateLimiter, background: BackgroundTasks) -> None:
    """What every request goes through; the last one added is the outermost."""
    if rules.limits.requests_per_minute is not None:
        app.add_middleware(RequestLimit, limiter=limiter, per_minute=rules.limits.requests_per_minute)
    app.add_middleware(
        BodyTimeout,
        idle_seconds=2 * rules.terms.upload_idle_seconds,
        least_bytes_per_second=rules.terms.upload_least_bytes_per_second,
    )
    add_http_middleware(app, rules.web)
    app.add_middleware(RequestLog, tally=background.metrics_recorder.tally, traces=background.traces)
