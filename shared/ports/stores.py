"""Everything that the service remembers and reads outside of its processes, behind its ports. To hand over
as one, never to fetch from: whoever gets it gives each of its parts to the one who needs it.
"""

from dataclasses import dataclass

from shared.access_ports import CountStore, KeyStore, Limiter
from shared.batch_ports import BatchStore
from shared.oversight import AuditLog, Controls, History, Overview
from shared.ports import AudioStore, JobQueue, JobStore, Transitions, WorkerRegistry
from shared.upload_ports import (
    ClaimStore,
    DirectStore,
    PartStore,
    Recall,
    ResumableStore,
    UploadRegistry,
)
from shared.webhook_ports import DeliveryStore, EndpointStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """One of each port."""

    jobs: JobStore
    batches: BatchStore
    queue: JobQueue
    transitions: Transitions
    workers: WorkerRegistry

    audio: AudioStore
    direct: DirectStore
    parts: PartStore
    resumables: ResumableStore
    uploads: UploadRegistry
    claims: ClaimStore
    recall: Recall

    keys: KeyStore
    limiter: Limiter
    counts: CountStore

    overview: Overview
    history: History
    controls: Controls
    audit: AuditLog

    deliveries: DeliveryStore
    endpoints: EndpointStore
