"""The body and the signature of webhooks, by Standard Webhooks 1.0.0. Pure.

The body is made once, when the event happens. A repeated delivery has the same id and the same bytes, with a
new timestamp and signature.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shared.domain.job import Job
from shared.domain.job_fields import Callback
from shared.domain.job_state import JobState
from shared.domain.open_enum import OpenEnum
from shared.domain.timestamps import format_timestamp
from shared.errors import BadRequest

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SECRET_BYTES = 32
BODY_VERSION = "1"
"""Of the whole body. `data` is the job as GET /v1/jobs/{id} shows it, without the charts' data, or the batch
as GET /v1/batches/{id} shows it, without filenames.
"""
_MAX_SECRETS = 3


class EventType(OpenEnum):
    """The types of events."""

    STARTED = "job.started"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    DEAD = "job.dead"
    CANCELED = "job.canceled"
    BATCH_COMPLETED = "batch.completed"
    """Every job of a batch has ended for the first time."""
    TEST = "webhook.test"
    """Sent manually to test a receiver."""


_OF_STATE = {
    JobState.RUNNING: EventType.STARTED,
    JobState.SUCCEEDED: EventType.SUCCEEDED,
    JobState.FAILED: EventType.FAILED,
    JobState.DEAD: EventType.DEAD,
    JobState.CANCELED: EventType.CANCELED,
}
JOB_EVENTS = tuple(_OF_STATE.values())
DEFAULT_EVENTS = JOB_EVENTS[1:]
"""All ends of jobs. `job.started` is sent only on request."""
ALL_EVENTS = (*JOB_EVENTS, EventType.BATCH_COMPLETED)
ALL_ENDS = (*DEFAULT_EVENTS, EventType.BATCH_COMPLETED)


def event_for_change(old: Job | None, new: Job) -> EventType | None:
    """The event of a change of a job, if it is one."""
    if old is not None and old.state is new.state:
        return None
    return _OF_STATE.get(new.state)


def parse_events(
    names: Iterable[str],
    *,
    known: tuple[EventType, ...] = JOB_EVENTS,
    default: tuple[EventType, ...] = DEFAULT_EVENTS,
) -> tuple[EventType, ...]:
    """Parse event names; without any, the default ones. Raises BadRequest."""
    requested = {name.strip() for name in names if name.strip()}
    unknown = requested - set(known)
    if unknown:
        raise BadRequest(f"Unknown event `{min(unknown)[:50]}`. Valid events: {', '.join(known)}.")
    return tuple(event for event in known if event in requested) or default


def event_body(event: EventType, data: dict[str, Any], *, at: float) -> str:
    """The JSON that is signed and sent unchanged."""
    body = {"type": event, "version": BODY_VERSION, "timestamp": format_timestamp(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def new_secret() -> str:
    """256 random bits, as `whsec_…`."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(message_id: str, body: str, *, timestamp: int, secrets: Iterable[str]) -> str:
    """`v1,…` for every secret: a receiver needs to know only one of them."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return " ".join(
        "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()
        for secret in secrets
    )


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSecret:
    """A replaced secret that still signs for a while."""

    secret: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The signing secrets of one API key."""

    current: str = field(repr=False)
    since: float
    old: tuple[OldSecret, ...] = ()
    """Newest first."""
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    @classmethod
    def new(cls, *, now: float) -> Self:
        """A first secret."""
        return cls(current=new_secret(), since=now)

    def rotate(self, *, now: float, overlap_seconds: float) -> Self:
        """Create a new secret. The current one stays valid for the overlap, so that receivers can switch."""
        replaced = OldSecret(secret=self.current, until=now + overlap_seconds)
        old = (replaced, *self.old)[: _MAX_SECRETS - 1]
        return replace(
            self, current=new_secret(), since=now, old=tuple(one for one in old if one.until > now)
        )

    def valid(self, *, now: float) -> tuple[str, ...]:
        """All secrets that sign now."""
        return (self.current, *(one.secret for one in self.old if one.until > now))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """An event of a job or a batch, before it is fanned out to its receivers."""

    id: str
    type: EventType
    at: float
    owner: str | None
    callback: Callback | None
    """None if there is none, or it does not subscribe to this event."""
    body: str = field(repr=False)
    job_id: str | None = None
    batch_id: str | None = None
    """Exactly one of job_id and batch_id is set."""
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""
