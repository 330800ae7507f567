"""The outbox: a webhook event is written in the transaction of the change that it reports.

No second write could get lost: either the job has changed and its event is in the outbox, or neither. The
body is made here, so that it shows the job as it was at that moment.

hooks:event:{id}    JSON
hooks:outbox        sorted set of event ids by time
"""

from shared.domain.job import Job
from shared.domain.webhooks.events import WebhookEvent
from shared.redis.records import RecordCodec
from shared.schemas.webhook_event import job_event

EVENTS = RecordCodec(WebhookEvent)

EVENT_TTL_SECONDS = 4 * 24 * 3600
"""Longer than any delivery is retried."""


class WebhookOutbox:
    """A follower of RedisJobStore that records events."""

    def __init__(self, *, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """The commands that record the event of a change, if it has one. Pure."""
        event = job_event(old, new)
        return [] if event is None else outbox_commands(event, prefix=self._prefix)


def outbox_commands(event: WebhookEvent, *, prefix: str) -> list[list[str]]:
    """The commands that put an event into the outbox."""
    record = EVENTS.dump(event)
    return [
        ["SET", f"{prefix}hooks:event:{event.id}", record, "EX", str(EVENT_TTL_SECONDS)],
        ["ZADD", f"{prefix}hooks:outbox", repr(event.at), event.id],
    ]
