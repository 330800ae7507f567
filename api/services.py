"""Build the services of all features over the stores. `api/app.py` puts routes in front of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from api.access.url_checker import LookupPool, UrlChecker
from api.admin.overview import Overview
from api.batches.items import BatchItems
from api.batches.service import BatchService
from api.config import ApiConfig, UrlChecks
from api.http.limits.slow_clients import MinRateTimeout
from api.jobs.service import JobActions
from api.jobs.updates import JobUpdates
from api.jobs.wait_estimate import WaitEstimate
from api.tus.service import TusService
from api.tus.storage import TusStorage
from api.uploads.idempotency import Idempotency
from api.uploads.job_factory import JobFactory
from api.uploads.presigned import PresignedUploadService
from api.uploads.receiving.active_uploads import ActiveUploads
from api.uploads.receiving.buffer_pool import BufferPool
from api.uploads.report_cache import ReportCache
from api.uploads.service import UploadService
from api.uploads.source_url import SourceUrlService
from api.webhooks.service import WebhookService
from shared.ports.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """The four ways to upload a recording. They share one buffer pool."""

    direct: UploadService
    tus: TusService
    presigned: PresignedUploadService
    source_urls: SourceUrlService


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """One service per feature."""

    uploads: Uploads
    actions: JobActions
    batches: BatchService
    webhooks: WebhookService
    wait_estimate: WaitEstimate
    overview: Overview
    updates: JobUpdates
    active_uploads: ActiveUploads

    @classmethod
    def build(cls, stores: Stores, *, config: ApiConfig, url_checks: UrlChecks) -> Self:
        """Build all services. Contacts nothing yet."""
        active_uploads = ActiveUploads(stores.upload_registry)
        actions = JobActions(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            attempts=config.job_limits.attempts,
            keep_audio=config.keep_audio,
            delete_webhooks=stores.deliveries.delete_all_about,
        )
        lookups = LookupPool()
        callback_urls = UrlChecker(check_url=url_checks.check_callback_url, pool=lookups)
        uploads = _build_uploads(
            stores,
            config=config,
            urls=_UrlCheckers(
                callback=callback_urls,
                source=UrlChecker(check_url=url_checks.check_source_url, pool=lookups),
            ),
            active_uploads=active_uploads,
            delete_job=actions.delete,
        )
        webhooks = WebhookService(
            deliveries=stores.deliveries, endpoints=stores.endpoints, urls=callback_urls
        )
        wait_estimate = WaitEstimate(
            jobs=stores.jobs,
            workers=stores.workers,
            history=stores.history,
            worker_control=stores.worker_control,
            priority_queue=config.rate_limits.queues[0],
        )
        batches = BatchService(
            batches=stores.batches,
            items=BatchItems(presigned=uploads.presigned, source_urls=uploads.source_urls),
            actions=actions,
            webhooks=webhooks,
            wait_estimate=wait_estimate,
            idempotency=uploads.direct.idempotency,
            keep_seconds=config.job_limits.keep_seconds,
        )
        return cls(
            uploads=uploads,
            actions=actions,
            batches=batches,
            webhooks=webhooks,
            wait_estimate=wait_estimate,
            overview=_build_overview(stores, config),
            updates=JobUpdates(stores.job_updates),
            active_uploads=active_uploads,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _UrlCheckers:
    callback: UrlChecker
    source: UrlChecker


def _build_uploads(
    stores: Stores,
    *,
    config: ApiConfig,
    urls: _UrlCheckers,
    active_uploads: ActiveUploads,
    delete_job: Callable[[str], None],
) -> Uploads:
    limits = config.job_limits
    pool = BufferPool(limits.upload_buffer_bytes, part_bytes=stores.audio.part_bytes)
    new_timeout = partial(
        MinRateTimeout,
        idle_seconds=limits.upload_idle_timeout_seconds,
        min_bytes_per_second=limits.upload_min_bytes_per_second,
        busy=lambda: pool.is_contended,
    )
    idempotency = Idempotency(stores.idempotency)
    factory = JobFactory(
        attempts=limits.attempts,
        keep_seconds=limits.keep_seconds,
        callback_urls=urls.callback,
    )
    report_index = stores.report_index if config.reuse_reports else None
    return Uploads(
        direct=UploadService(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            limits=limits,
            pool=pool,
            active_uploads=active_uploads,
            idempotency=idempotency,
            report_cache=ReportCache(index=report_index, window_seconds=limits.window_seconds),
            factory=factory,
            new_timeout=new_timeout,
        ),
        tus=TusService(
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
            delete_job=delete_job,
        ),
        presigned=PresignedUploadService(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            store=stores.presigned_uploads,
            parts=stores.parts,
            factory=factory,
            idempotency=idempotency,
            max_upload_bytes=limits.max_upload_bytes,
            lifetime_seconds=limits.direct_upload_seconds,
        ),
        source_urls=SourceUrlService(
            jobs=stores.jobs,
            queue=stores.queue,
            factory=factory,
            idempotency=idempotency,
            urls=urls.source,
            counts_as_bytes=limits.source_counts_as_bytes,
        ),
    )


def _build_overview(stores: Stores, config: ApiConfig) -> Overview:
    return Overview(
        jobs=stores.jobs,
        audio=stores.audio,
        workers=stores.workers,
        search=stores.job_search,
        history=stores.history,
        controls=stores.worker_control,
        audit=stores.audit_log,
        store=stores.dashboard,
        max_latency_seconds=config.max_latency_seconds,
        deliveries=stores.deliveries,
        endpoints=stores.endpoints,
        uploads=stores.upload_registry,
        queues=config.rate_limits.queues,
        batches=stores.batches,
    )
