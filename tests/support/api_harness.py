"""The API over fakes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from typing import Any, TypeVar

from fastapi.testclient import TestClient

from api.admin.auth.sessions import Sessions
from api.app import create_app
from api.config import ApiConfig, HttpConfig, JobLimits, RateLimits, UrlChecks
from api.http.background import BackgroundTasks
from shared.domain.api_key import Scope, issue_key
from shared.observability.recorder import MetricsBuffer, MetricsRecorder
from shared.observability.traces import NoTraces
from shared.outbound.address_rules import OutboundRules
from shared.outbound.client import OutboundClient
from shared.ports.stores import Stores
from tests.support.fakes.admin import (
    MemoryAuditLog,
    MemoryDashboardStore,
    MemoryHistory,
    MemoryJobSearch,
    MemorySecretStore,
    MemoryWorkerControl,
)
from tests.support.fakes.batches import MemoryBatchStore
from tests.support.fakes.jobs import (
    MemoryApiKeyStore,
    MemoryAudioStore,
    MemoryInstallationStore,
    MemoryJobQueue,
    MemoryJobStore,
    MemoryJobUpdateLog,
    MemoryMetricsStore,
    MemoryRateLimiter,
    MemoryWorkerRegistry,
)
from tests.support.fakes.uploads import (
    MemoryIdempotencyStore,
    MemoryPartStore,
    MemoryPresignedUploadStore,
    MemoryReportIndex,
    MemoryTusUploadStore,
    MemoryUploadRegistry,
)
from tests.support.fakes.webhooks import MemoryDeliveryStore, MemoryEndpointStore
from tests.support.maintenance import Maintenance
from worker.maintenance.orphan_sweeper import OrphanSweeper, SweepLimits
from worker.maintenance.rescuer import Rescuer

Part = TypeVar("Part", Stores, ApiConfig, UrlChecks, BackgroundTasks)

Fake = TypeVar("Fake")

OPERATOR_PASSWORD, VIEWER_PASSWORD = "let me work", "let me look"
MAX_BYTES = 12 * 1024 * 1024


class ApiHarness:
    """Fakes, and an app over them."""

    def __init__(self, **changes: Any) -> None:
        """Each of `changes` replaces the field of its name, in whichever of the app's parts has it."""
        self._fakes: list[tuple[Any, tuple[Any, ...]]] = []
        self.login_pauses: list[float] = []
        make = self._make
        self.jobs, self.audio, self.queue = make(MemoryJobStore), make(MemoryAudioStore), make(MemoryJobQueue)
        self.workers, self.keys = make(MemoryWorkerRegistry), make(MemoryApiKeyStore)
        self.claims, self.resumables = make(MemoryIdempotencyStore), make(MemoryTusUploadStore)
        self.uploads, self.parts = make(MemoryUploadRegistry), make(MemoryPartStore, self.audio)
        self.direct = make(MemoryPresignedUploadStore, self.audio, self.parts)
        self.deliveries, self.endpoints = make(MemoryDeliveryStore), make(MemoryEndpointStore)
        self.batches = make(MemoryBatchStore, self.jobs, self.deliveries)
        self.controls, self.audit = make(MemoryWorkerControl), make(MemoryAuditLog)
        self.dashboard = make(MemoryDashboardStore)
        counts = make(MemoryMetricsStore)
        stores = Stores(
            jobs=self.jobs,
            batches=self.batches,
            queue=self.queue,
            job_updates=make(MemoryJobUpdateLog, self.jobs),
            workers=self.workers,
            installation=MemoryInstallationStore(),
            audio=self.audio,
            presigned_uploads=self.direct,
            parts=self.parts,
            tus_uploads=self.resumables,
            upload_registry=self.uploads,
            idempotency=self.claims,
            report_index=make(MemoryReportIndex, self.jobs),
            api_keys=self.keys,
            rate_limiter=make(MemoryRateLimiter),
            metrics=counts,
            job_search=make(MemoryJobSearch, self.jobs),
            history=make(MemoryHistory, self.jobs),
            worker_control=self.controls,
            audit_log=self.audit,
            dashboard=self.dashboard,
            deliveries=self.deliveries,
            endpoints=self.endpoints,
        )
        job_limits = JobLimits(
            max_upload_bytes=MAX_BYTES, upload_idle_timeout_seconds=5, attempts=3, keep_seconds=60
        )
        config = ApiConfig(
            job_limits=job_limits, rate_limits=RateLimits(), http=HttpConfig(), allow_anonymous=True
        )
        url_checks = UrlChecks(check_callback_url=public_only, check_source_url=public_only)
        recorder = MetricsRecorder(counts, buffer=MetricsBuffer(), process="api")
        vault = changes.pop("vault", None) or make(MemorySecretStore)
        self._app = create_app(
            _changed(stores, changes),
            config=_changed(config, changes),
            url_checks=_changed(url_checks, changes),
            sessions=Sessions(
                vault,
                operator_password=OPERATOR_PASSWORD,
                viewer_password=VIEWER_PASSWORD,
                operators=changes.pop("operators", {}),
                sleep=self._pause,
            ),
            background=_changed(BackgroundTasks(metrics_recorder=recorder, traces=NoTraces()), changes),
        )
        assert not changes, "no part of an app has these"
        self.client = TestClient(self._app, raise_server_exceptions=False)

    def reset(self) -> None:
        """Make this harness as good as new: a new app costs 70 ms, most of a test's time."""
        for fake, arguments in self._fakes:
            vars(fake).clear()  # also what a test has patched
            fake.__init__(*arguments)
        self._app.dependency_overrides.clear()
        self.login_pauses.clear()
        self._app.state.services.wait_estimate.forget()
        self.client = TestClient(self._app, raise_server_exceptions=False)

    async def _pause(self, seconds: float) -> None:
        self.login_pauses.append(seconds)

    def _make(self, kind: type[Fake], *arguments: Any) -> Fake:
        fake = kind(*arguments)
        self._fakes.append((fake, arguments))
        return fake

    def rescuer(self) -> Maintenance:
        """The maintenance that cleans up what is left here."""
        return Maintenance(
            rescuer=Rescuer(
                jobs=self.jobs,
                audio=self.audio,
                queue=self.queue,
                keep_audio=False,
                lease_seconds=15,
                retry_seconds=5,
            ),
            sweeper=OrphanSweeper(
                jobs=self.jobs,
                audio=self.audio,
                uploads=self.uploads,
                installation=MemoryInstallationStore(),
                limits=SweepLimits(age_seconds=60, max_share=1.0),
            ),
        )

    def token(self, *scopes: Scope, **changes: Any) -> str:
        """A new key's token."""
        fields: dict[str, Any] = {"scopes": frozenset(scopes), "now": time.time()}
        key, token = issue_key("test", **fields | changes)
        self.keys.add(key)
        return token


def public_only(url: str) -> str:
    """As the real one does it, in a world with one public name."""
    known = {"hooks.example": ["93.184.215.14"], "files.example": ["93.184.215.15"]}
    outbound = OutboundClient(rules=OutboundRules(), resolver=lambda host, _: known.get(host, []))
    return str(outbound.check(url))


def _changed(part: Part, changes: dict[str, Any]) -> Part:
    known = {field.name for field in fields(part)}
    return replace(part, **{name: changes.pop(name) for name in known & changes.keys()})


@cache
def _shared_harness(*, allow_anonymous: bool) -> ApiHarness:
    return ApiHarness(allow_anonymous=allow_anonymous)


@contextmanager
def shared_api(*, allow_anonymous: bool = True) -> Iterator[ApiHarness]:
    """An app that is built once per process, reset and running."""
    harness = _shared_harness(allow_anonymous=allow_anonymous)
    harness.reset()
    with harness.client:
        yield harness
