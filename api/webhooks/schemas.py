"""Webhooks as a client sees them: where they go, and what became of each."""

from datetime import UTC, datetime
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field

from shared.domain.delivery import Attempt, Delivery, DeliveryState
from shared.domain.endpoint import Endpoint
from shared.domain.webhook import EventType, Secrets
from shared.schemas.job import View

Timestamp = Annotated[datetime, Field(examples=["2026-11-22T00:03:12.501Z"])]


class AttemptView(View):
    """One try at a delivery."""

    at: Timestamp
    milliseconds: int = Field(examples=[84])
    status: int | None = Field(description="null: no answer came.", examples=[503])
    error: str | None = Field(examples=["It answered 503."])


class AttemptDetailView(AttemptView):
    """With the receiver's words."""

    response: str | None = Field(
        description="The answer's first 1024 bytes; null for an address that is not public.",
        examples=["busy"],
    )


class DeliveryView(View):
    """One event on its way to one receiver, by the job that it tells of."""

    id: str = Field(description="`webhook-id` of all its attempts.", examples=["msg_9f86d081884c7d65"])
    type: EventType
    to: str = Field(description="The receiver, without its path.", examples=["https://hooks.example.com"])
    endpoint_id: str | None = Field(description="null: the `callback_url` of its job or batch.")
    state: DeliveryState
    created_at: Timestamp
    next_attempt_at: Timestamp | None
    ended_at: Timestamp | None
    why: str | None = Field(description="Why it failed for good.")
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The view for whoever may read the job: no address, no words of the receiver."""
        return cls(**_facts(delivery), attempts=[_attempt(attempt) for attempt in delivery.attempts])


class DeliveryDetailView(DeliveryView):
    """One event on its way to one receiver, for the API key that set it up."""

    job_id: str | None
    batch_id: str | None
    url: str
    attempts: list[AttemptDetailView]  # type: ignore[assignment]  # narrower, and these views are frozen

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The view for the owner."""
        attempts = [
            AttemptDetailView(
                **dict(_attempt(attempt)), response=None if attempt.is_internal else attempt.response
            )
            for attempt in delivery.attempts
        ]
        return cls(
            **_facts(delivery),
            job_id=delivery.job_id,
            batch_id=delivery.batch_id,
            url=delivery.url,
            attempts=attempts,
        )


class DeliveryListView(View):
    """Deliveries, newest first."""

    deliveries: list[DeliveryDetailView]


class EndpointView(View):
    """An address that hears of all jobs of an API key."""

    id: str = Field(examples=["ep_0123456789abcdef"])
    url: str
    events: list[EventType]
    description: str | None
    created_at: Timestamp
    failing_since: Timestamp | None
    disabled_at: Timestamp | None = Field(description="Nothing is sent there any more.")
    disabled_why: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """The view of an endpoint."""
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            events=list(endpoint.events),
            description=endpoint.description,
            created_at=_time(endpoint.created_at),
            failing_since=_maybe(endpoint.failing_since),
            disabled_at=_maybe(endpoint.disabled_at),
            disabled_why=endpoint.disabled_why,
        )


class EndpointListView(View):
    """All endpoints of an API key."""

    webhooks: list[EndpointView]


class OldSecretView(View):
    """A secret that was replaced."""

    until: Timestamp = Field(description="It signs beside the new one until then.")


class SecretView(View):
    """What the webhooks of an API key are signed with."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    since: Timestamp
    old: list[OldSecretView]

    @classmethod
    def of(cls, secrets: Secrets, *, now: float) -> Self:
        """The view of all that sign now."""
        old = [OldSecretView(until=_time(one.until)) for one in secrets.old if one.until > now]
        return cls(secret=secrets.current, since=_time(secrets.since), old=old)


class RedeliveredView(View):
    """How many deliveries were begun anew."""

    redelivered: int
    more: bool = Field(description="Whether there are more: ask again.")


def _facts(delivery: Delivery) -> dict[str, object]:
    place = urlsplit(delivery.url)
    return {
        "id": delivery.id,
        "type": delivery.type,
        "to": f"{place.scheme}://{place.netloc}",
        "endpoint_id": delivery.endpoint_id,
        "state": delivery.state,
        "created_at": _time(delivery.created_at),
        "next_attempt_at": None if delivery.leased else _maybe(delivery.due_at),
        "ended_at": _maybe(delivery.ended_at),
        "why": delivery.why,
    }


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        at=_time(attempt.at),
        milliseconds=attempt.milliseconds,
        status=attempt.status,
        error=attempt.error,
    )


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(round(at, 3), UTC)


def _maybe(at: float | None) -> datetime | None:
    return None if at is None else _time(at)
