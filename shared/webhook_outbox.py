"""From a change of a job to the event that tells of it, as commands that are written with the change.

There is no second write that could be lost: either the job has changed and its event stands in the outbox,
or neither. The body is made here, so that it shows the job as it was at that moment.
"""

import hashlib
from typing import Any

from pydantic import TypeAdapter

from shared.job import Job
from shared.job_view import JobView
from shared.webhook import event_between, event_body
from shared.webhook_ports import WebhookEvent

EVENT_KEEP_SECONDS = 4 * 24 * 3600
"""Longer than any delivery is tried: what no sender took by then is forgotten."""

_LEFT_OUT: dict[str, Any] = {
    "report": {"spectrum", "histogram"},
    "queue_position": True,
    "queue_wait_seconds": True,
}
"""What is for drawing, and would be most of the body: `links.self` has it."""

EVENT = TypeAdapter(WebhookEvent)


class WebhookOutbox:
    """A follower of RedisJobStore."""

    def __init__(self, *, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """Nothing, or the commands that record one event. Pure."""
        event = event_of(old, new)
        if event is None:
            return []
        return recorded(event, prefix=self._prefix)


def recorded(event: WebhookEvent, *, prefix: str) -> list[list[str]]:
    """The commands that put one event into the outbox."""
    record = EVENT.dump_json(event).decode()
    return [
        ["SET", f"{prefix}hooks:event:{event.id}", record, "EX", str(EVENT_KEEP_SECONDS)],
        ["ZADD", f"{prefix}hooks:outbox", repr(event.at), event.id],
    ]


def event_of(old: Job | None, new: Job) -> WebhookEvent | None:
    """What somebody may want to hear of."""
    kind = event_between(old, new)
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
        body=event_body(kind, JobView.of(new).model_dump(mode="json", exclude=_LEFT_OUT), at=at),
    )
