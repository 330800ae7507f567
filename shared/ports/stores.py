"""Everything that the service remembers and reads outside of its processes, behind its ports. To hand over
as one, never to fetch from: whoever gets it gives each of its parts to the one who needs it.
"""

from dataclasses import dataclass

from shared.ports.access import KeyStore, Limiter
from shared.ports.admin import AuditLog, Overview
from shared.ports.audio import AudioStore, DirectStore, PartStore
from shared.ports.batches import BatchStore
from shared.ports.jobs import JobQueue, JobStore, Transitions
from shared.ports.metrics import CountStore, History
from shared.ports.uploads import ClaimStore, Recall, ResumableStore, UploadRegistry
from shared.ports.webhooks import DeliveryStore, EndpointStore
from shared.ports.workers import Controls, WorkerRegistry


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
