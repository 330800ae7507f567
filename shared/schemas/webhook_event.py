"""Makes the webhook event of a change of a job or a batch. Pure."""

import hashlib
from typing import Any

from shared.domain.batch import Batch
from shared.domain.job import Job
from shared.domain.webhooks.events import EventType, WebhookEvent, event_body, event_for_change
from shared.schemas.batch import BatchView
from shared.schemas.job import JobView

_EXCLUDED_FROM_BATCH: dict[str, Any] = {"items": {"__all__": {"filename"}}}
"""A hundred long filenames would be most of the body."""


def batch_event(old: Batch, new: Batch) -> WebhookEvent | None:
    """The event of a batch's first completion; None while it is being deleted, or without a receiver."""
    if old.completed_at is not None or new.completed_at is None or new.deleting:
        return None
    subscribed = new.callback is not None and EventType.BATCH_COMPLETED in new.callback.events
    if not subscribed and new.owner is None:
        return None
    data = BatchView.of(new).model_dump(mode="json", exclude=_EXCLUDED_FROM_BATCH)
    return WebhookEvent(
        id="evt_" + hashlib.sha256(f"batch {new.id} completed".encode()).hexdigest()[:32],
        type=EventType.BATCH_COMPLETED,
        at=new.completed_at,
        batch_id=new.id,
        owner=new.owner,
        callback=new.callback if subscribed else None,
        body=event_body(EventType.BATCH_COMPLETED, data, at=new.completed_at),
    )


_EXCLUDED_FROM_JOB: dict[str, Any] = {
    "report": {"spectrum", "histogram"},
    "queue_position": True,
    "queue_wait_seconds": True,
}
"""The charts' data would be most of the body. `links.self` has it."""


def job_event(old: Job | None, new: Job) -> WebhookEvent | None:
    """The event of a change of state; None without a receiver."""
    kind = event_for_change(old, new)
    if kind is None:
        return None
    callback = new.callback if new.callback and kind in new.callback.events else None
    if callback is None and new.owner is None:
        return None
    at = new.timeline[-1].at
    return WebhookEvent(
        id="evt_" + hashlib.sha256(f"{new.id} {new.version}".encode()).hexdigest()[:32],
        type=kind,
        at=at,
        job_id=new.id,
        owner=new.owner,
        callback=callback,
        body=event_body(kind, JobView.of(new).model_dump(mode="json", exclude=_EXCLUDED_FROM_JOB), at=at),
    )
