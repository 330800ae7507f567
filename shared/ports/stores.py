"""All ports together, for the code that assembles a process. Other code takes the single port it needs."""

from dataclasses import dataclass

from shared.ports.access import ApiKeyStore, RateLimiter
from shared.ports.admin import AuditLog, DashboardStore, JobSearch
from shared.ports.audio import AudioStore, PartStore, PresignedUploadStore
from shared.ports.batches import BatchStore
from shared.ports.installation import InstallationStore
from shared.ports.jobs import JobQueue, JobStore, JobUpdateLog
from shared.ports.metrics import History, MetricsStore
from shared.ports.uploads import IdempotencyStore, ReportIndex, TusUploadStore, UploadRegistry
from shared.ports.webhooks import DeliveryStore, EndpointStore
from shared.ports.workers import WorkerControl, WorkerRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """One of each port."""

    jobs: JobStore
    batches: BatchStore
    queue: JobQueue
    job_updates: JobUpdateLog
    workers: WorkerRegistry

    installation: InstallationStore
    audio: AudioStore
    presigned_uploads: PresignedUploadStore
    parts: PartStore
    tus_uploads: TusUploadStore
    upload_registry: UploadRegistry
    idempotency: IdempotencyStore
    report_index: ReportIndex

    api_keys: ApiKeyStore
    rate_limiter: RateLimiter
    metrics: MetricsStore

    job_search: JobSearch
    history: History
    worker_control: WorkerControl
    audit_log: AuditLog
    dashboard: DashboardStore

    deliveries: DeliveryStore
    endpoints: EndpointStore
