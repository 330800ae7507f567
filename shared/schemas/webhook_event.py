"""From a change of a batch to the event that tells of its end, at most one for each batch. Pure."""

import hashlib
from typing import Any

from shared.batch import Batch
from shared.batch_view import BatchView
from shared.webhook import EventType, event_body
from shared.webhook_ports import WebhookEvent

_LEFT_OUT: dict[str, Any] = {"items": {"__all__": {"filename"}}}
"""A hundred long names would be most of the body."""


def event_of_batch(old: Batch, new: Batch) -> WebhookEvent | None:
    """What somebody may want to hear of; nothing of a batch that is being deleted."""
    if old.completed_at is not None or new.completed_at is None or new.deleting:
        return None
    wanted = new.callback is not None and EventType.BATCH_COMPLETED in new.callback.events
    if not wanted and new.owner is None:
        return None
    data = BatchView.of(new).model_dump(mode="json", exclude=_LEFT_OUT)
    return WebhookEvent(
        id="evt_" + hashlib.sha256(f"batch {new.id} completed".encode()).hexdigest()[:32],
        type=EventType.BATCH_COMPLETED,
        at=new.completed_at,
        batch_id=new.id,
        owner=new.owner,
        callback=new.callback if wanted else None,
        body=event_body(EventType.BATCH_COMPLETED, data, at=new.completed_at),
    )
