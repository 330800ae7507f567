"""Requests and responses of webhooks: endpoints, secrets and deliveries."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field

from api.http.schemas import Moment
from shared.domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import ALL_EVENTS, EventType, Secrets
from shared.schemas.job import View
from shared.schemas.timestamp import Timestamp, optional_timestamp, timestamp_of

_DAY = 24 * 3600
_EVENTS = Field(
    default=None, description=f"Any of {', '.join(ALL_EVENTS)}. The default is all but `job.started`."
)


class CreateEndpoint(View):
    """An endpoint to register."""

    url: str = Field(description="https, on a public address.", examples=["https://hooks.example.com/songs"])
    events: list[str] | None = _EVENTS
    description: str | None = None


class UpdateEndpoint(View):
    """The fields to change. Others stay as they are."""

    url: str | None = None
    events: list[str] | None = _EVENTS
    description: str | None = None
    enabled: bool | None = Field(
        default=None, description="true: enable the endpoint again. false: send nothing to it."
    )


class RotateSecret(View):
    """How to replace the secret."""

    overlap_seconds: float = Field(
        default=_DAY,
        ge=0,
        le=30 * _DAY,
        strict=True,
        description="How long the old secret signs next to the new one.",
    )


class RedeliverFailed(View):
    """Which deliveries to send again."""

    since: Moment = Field(
        description="Deliveries created before this time are left alone. RFC 3339, with an offset."
    )
    endpoint_id: str | None = Field(
        default=None, description="Only deliveries to this endpoint. null: all, including callbacks."
    )


class AttemptView(View):
    """One attempt at a delivery."""

    at: Timestamp
    milliseconds: int = Field(examples=[84])
    status: int | None = Field(description="null: there was no response.", examples=[503])
    error: str | None = Field(examples=["It answered 503."])


class AttemptDetailView(AttemptView):
    """An attempt with the receiver's response."""

    response: str | None = Field(
        description="The first 1024 bytes of the response; null for an address that is not public.",
        examples=["busy"],
    )


class DeliveryView(View):
    """One event for one receiver, as those who may read the job see it."""

    id: str = Field(description="The `webhook-id` of all attempts.", examples=["msg_9f86d081884c7d65"])
    type: EventType
    to: str = Field(description="The receiver, without its path.", examples=["https://hooks.example.com"])
    endpoint_id: str | None = Field(
        description="null: the delivery goes to the `callback_url` of its job or batch."
    )
    state: DeliveryState
    created_at: Timestamp
    next_attempt_at: Timestamp | None
    ended_at: Timestamp | None
    why: str | None = Field(description="Why the delivery failed, if no attempt is left.")
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return the view without the full address and the receiver's responses."""
        return cls(**_facts(delivery), attempts=[_attempt(attempt) for attempt in delivery.attempts])


class DeliveryDetailView(DeliveryView):
    """One event for one receiver, as the owner of the webhook sees it."""

    job_id: str | None
    batch_id: str | None
    url: str
    attempts: list[AttemptDetailView]  # type: ignore[assignment]  # narrower, and these views are frozen

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return the view for the owner."""
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
    """An endpoint that receives the events of all jobs of an API key."""

    id: str = Field(examples=["ep_0123456789abcdef"])
    url: str
    events: list[EventType]
    description: str | None
    created_at: Timestamp
    failing_since: Timestamp | None
    disabled_at: Timestamp | None = Field(description="Since when nothing is sent to it.")
    disabled_why: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Return the view of an endpoint."""
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            events=list(endpoint.events),
            description=endpoint.description,
            created_at=timestamp_of(endpoint.created_at),
            failing_since=optional_timestamp(endpoint.failing_since),
            disabled_at=optional_timestamp(endpoint.disabled_at),
            disabled_why=endpoint.disabled_why,
        )


class EndpointListView(View):
    """All endpoints of an API key."""

    webhooks: list[EndpointView]


class OldSecretView(View):
    """A replaced secret."""

    until: Timestamp = Field(description="Until when it signs next to the new one.")


class SecretView(View):
    """The secret that signs the webhooks of an API key."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    since: Timestamp
    old: list[OldSecretView]

    @classmethod
    def of(cls, secrets: Secrets, *, now: float) -> Self:
        """Return the view of the secrets that sign now."""
        old = [
            OldSecretView(until=timestamp_of(secret.until)) for secret in secrets.old if secret.until > now
        ]
        return cls(secret=secrets.current, since=timestamp_of(secrets.since), old=old)


class RedeliveredView(View):
    """How many deliveries are sent again."""

    redelivered: int
    more: bool = Field(description="Whether there are more. Repeat the request for them.")


def _facts(delivery: Delivery) -> dict[str, object]:
    url = urlsplit(delivery.url)
    return {
        "id": delivery.id,
        "type": delivery.type,
        "to": f"{url.scheme}://{url.netloc}",
        "endpoint_id": delivery.endpoint_id,
        "state": delivery.state,
        "created_at": timestamp_of(delivery.created_at),
        "next_attempt_at": None if delivery.leased else optional_timestamp(delivery.due_at),
        "ended_at": optional_timestamp(delivery.ended_at),
        "why": delivery.why,
    }


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(
        at=timestamp_of(attempt.at),
        milliseconds=attempt.milliseconds,
        status=attempt.status,
        error=attempt.error,
    )
