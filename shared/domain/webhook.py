"""What a webhook says and how it is signed: Standard Webhooks 1.0.0. Pure.

The body is made once, when the thing happens; a repeated delivery has the same id and the same bytes, and a
new timestamp and signature.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from shared.domain.job import Callback, Job
from shared.domain.job_state import JobState
from shared.errors import BadRequest

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SECRET_BYTES = 32
BODY_VERSION = "1"
"""Of the whole body. `data` is the job as GET /v1/jobs/{id} shows it, without what is for drawing, or the
batch as GET /v1/batches/{id} does, without names of files.
"""
_MOST_SECRETS = 3


class EventType(StrEnum):
    """What may have happened."""

    STARTED = "job.started"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    DEAD = "job.dead"
    CANCELED = "job.canceled"
    BATCH_COMPLETED = "batch.completed"
    """Every job of a batch has ended, for the first time."""
    TEST = "webhook.test"
    """Sent by hand, to try a receiver."""


_OF_STATE = {
    JobState.RUNNING: EventType.STARTED,
    JobState.SUCCEEDED: EventType.SUCCEEDED,
    JobState.FAILED: EventType.FAILED,
    JobState.DEAD: EventType.DEAD,
    JobState.CANCELED: EventType.CANCELED,
}
JOB_EVENTS = tuple(_OF_STATE.values())
DEFAULT_EVENTS = JOB_EVENTS[1:]
"""The ends; `job.started` comes only where it is asked for."""
ALL_EVENTS = (*JOB_EVENTS, EventType.BATCH_COMPLETED)
ALL_ENDS = (*DEFAULT_EVENTS, EventType.BATCH_COMPLETED)


def event_for_change(old: Job | None, new: Job) -> EventType | None:
    """What a change of a job is to others, if anything."""
    if old is not None and old.state is new.state:
        return None
    return _OF_STATE.get(new.state)


def parse_events(
    names: Iterable[str],
    *,
    known: tuple[EventType, ...] = JOB_EVENTS,
    default: tuple[EventType, ...] = DEFAULT_EVENTS,
) -> tuple[EventType, ...]:
    """Names of events, in any order, each once; none: the default ones. Raises BadRequest."""
    wanted = {name.strip() for name in names if name.strip()}
    unknown = wanted - set(known)
    if unknown:
        raise BadRequest(f"There is no event {min(unknown)[:50]}; there are: {', '.join(known)}.")
    return tuple(event for event in known if event in wanted) or default


def event_body(event: EventType, data: dict[str, Any], *, at: float) -> str:
    """The JSON that is signed and sent, as it is."""
    timestamp = datetime.fromtimestamp(round(at, 3), UTC).isoformat().replace("+00:00", "Z")
    body = {"type": event, "version": BODY_VERSION, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def new_secret() -> str:
    """256 random bits, as `whsec_…`."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(message_id: str, body: str, *, timestamp: int, secrets: Iterable[str]) -> str:
    """`v1,…` of every secret: a receiver that knows any of them is content."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return " ".join(
        "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()
        for secret in secrets
    )


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSecret:
    """Replaced, and used beside the new one for a while."""

    secret: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What one API key's webhooks are signed with."""

    current: str = field(repr=False)
    since: float
    old: tuple[OldSecret, ...] = ()
    """The newest first."""

    @classmethod
    def new(cls, *, now: float) -> Self:
        """A first secret."""
        return cls(current=new_secret(), since=now)

    def rotate(self, *, now: float, overlap_seconds: float) -> Self:
        """A new secret; the one so far stays valid for the overlap, so that receivers can change theirs."""
        replaced = OldSecret(secret=self.current, until=now + overlap_seconds)
        old = (replaced, *self.old)[: _MOST_SECRETS - 1]
        return replace(
            self, current=new_secret(), since=now, old=tuple(one for one in old if one.until > now)
        )

    def valid(self, *, now: float) -> tuple[str, ...]:
        """All that sign now."""
        return (self.current, *(one.secret for one in self.old if one.until > now))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something that happened to a job or a batch and waits to be spread to all who want to know."""

    id: str
    type: EventType
    at: float
    owner: str | None
    callback: Callback | None
    """None where there is none, or it does not want this event."""
    body: str = field(repr=False)
    job_id: str | None = None
    batch_id: str | None = None
    """One of the two."""
