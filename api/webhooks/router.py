"""The routes under /v1/webhooks: addresses that hear of every job of an API key."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from api.access.authentication import CurrentCaller
from api.http.problems import documented
from api.http.schemas import JobId, Moment
from api.webhooks.schemas import (
    DeliveryDetailView,
    DeliveryListView,
    DeliveryView,
    EndpointListView,
    EndpointView,
    RedeliveredView,
    SecretView,
)
from api.webhooks.service import WebhookService, owner_of
from shared.domain.webhook import ALL_EVENTS
from shared.ports.jobs import JobStore
from shared.schemas.job import View

_DAY = 24 * 3600
_EVENTS = Field(
    default=None, description=f"Any of {', '.join(ALL_EVENTS)}; by default all but `job.started`."
)

EndpointId = Annotated[str, Path(max_length=64)]
DeliveryId = Annotated[str, Path(max_length=64)]


class NewEndpoint(View):
    """An address to register."""

    url: str = Field(description="https, on a public address.", examples=["https://hooks.example.com/songs"])
    events: list[str] | None = _EVENTS
    description: str | None = None


class EndpointChange(View):
    """What is to be different; what is left out stays."""

    url: str | None = None
    events: list[str] | None = _EVENTS
    description: str | None = None
    enabled: bool | None = Field(default=None, description="true: try it again. false: send nothing.")


class Rotation(View):
    """How to change over to a new secret."""

    overlap_seconds: float = Field(
        default=_DAY,
        ge=0,
        le=30 * _DAY,
        strict=True,
        description="How long the old secret signs beside the new one.",
    )


class Redelivery(View):
    """What to send again."""

    since: Moment = Field(description="What was made before is left alone. RFC 3339, with an offset.")
    endpoint_id: str | None = Field(default=None, description="Only to this one; null: callbacks as well.")


def webhooks_router(acts: WebhookService, *, jobs: JobStore) -> APIRouter:
    """All routes about webhooks."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=documented(401, 422, 503))

    @router.post("", status_code=201, summary="Register an address", responses=documented(400, 409))
    async def create(new: NewEndpoint, caller: CurrentCaller, response: Response) -> EndpointView:
        """It hears of every job of this API key from now on."""
        endpoint = await run_in_threadpool(
            acts.create, owner_of(caller), url=new.url, events=new.events or (), description=new.description
        )
        response.headers["Location"] = f"/v1/webhooks/{endpoint.id}"
        return EndpointView.of(endpoint)

    @router.get("", summary="List the addresses")
    async def all_of_them(caller: CurrentCaller) -> EndpointListView:
        """Those of this API key, the oldest first."""
        found = await run_in_threadpool(acts.endpoints.list_for_owner, owner_of(caller))
        return EndpointListView(webhooks=[EndpointView.of(endpoint) for endpoint in found])

    @router.get("/secret", summary="Read the secret")
    async def secret(caller: CurrentCaller, response: Response) -> SecretView:
        """What every webhook of this API key is signed with, those of `callback_url` included."""
        response.headers["Cache-Control"] = "no-store"
        return SecretView.of(await run_in_threadpool(acts.secrets, owner_of(caller)), now=time.time())

    @router.post("/secret/rotate", summary="Replace the secret")
    async def rotate(
        caller: CurrentCaller, response: Response, rotation: Rotation | None = None
    ) -> SecretView:
        """Both secrets sign during the overlap, so that receivers can change over without a gap."""
        response.headers["Cache-Control"] = "no-store"
        overlap = (rotation or Rotation()).overlap_seconds
        rotated = await run_in_threadpool(acts.rotate, owner_of(caller), overlap_seconds=overlap)
        return SecretView.of(rotated, now=time.time())

    @router.get("/deliveries", summary="List what was sent", responses=documented(404))
    async def deliveries(
        caller: CurrentCaller,
        endpoint_id: Annotated[str | None, Query(max_length=64, description="Only to this one.")] = None,
        since: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> DeliveryListView:
        """Every delivery of the last days with all its attempts, newest first."""
        found = await run_in_threadpool(
            acts.log,
            owner_of(caller),
            endpoint_id=endpoint_id,
            since=since.timestamp() if since else None,
            limit=limit,
        )
        return DeliveryListView(deliveries=[DeliveryDetailView.of(delivery) for delivery in found])

    @router.post("/redeliver", status_code=202, summary="Send again what failed", responses=documented(404))
    async def redeliver_since(wanted: Redelivery, caller: CurrentCaller) -> RedeliveredView:
        """Everything that failed for good since a time; at most a thousand at once."""
        count, more = await run_in_threadpool(
            acts.redeliver_since,
            owner_of(caller),
            since=wanted.since.timestamp(),
            endpoint_id=wanted.endpoint_id,
        )
        return RedeliveredView(redelivered=count, more=more)

    @router.post(
        "/deliveries/{delivery_id}/redeliver",
        status_code=202,
        summary="Send one again",
        responses=documented(404, 409),
    )
    async def redeliver(delivery_id: DeliveryId, caller: CurrentCaller) -> DeliveryDetailView:
        """Under its old id, with all attempts anew, whether it had arrived or not."""
        sent = await run_in_threadpool(acts.redeliver, delivery_id, owner=owner_of(caller))
        return DeliveryDetailView.of(sent)

    @router.get("/{endpoint_id}", summary="Read an address", responses=documented(404))
    async def read(endpoint_id: EndpointId, caller: CurrentCaller) -> EndpointView:
        """How it fares."""
        return EndpointView.of(await run_in_threadpool(acts.get, owner_of(caller), endpoint_id))

    @router.patch("/{endpoint_id}", summary="Change an address", responses=documented(400, 404))
    async def change(endpoint_id: EndpointId, wanted: EndpointChange, caller: CurrentCaller) -> EndpointView:
        """What is left out stays."""
        changed = await run_in_threadpool(
            acts.change,
            owner_of(caller),
            endpoint_id,
            url=wanted.url,
            events=wanted.events,
            description=wanted.description,
            enabled=wanted.enabled,
        )
        return EndpointView.of(changed)

    @router.delete("/{endpoint_id}", status_code=204, summary="Delete an address", responses=documented(404))
    async def delete(endpoint_id: EndpointId, caller: CurrentCaller) -> Response:
        """What is on its way there is dropped."""
        await run_in_threadpool(acts.delete, owner_of(caller), endpoint_id)
        return Response(status_code=204)

    @router.post(
        "/{endpoint_id}/test", status_code=202, summary="Send a test event", responses=documented(404)
    )
    async def test(endpoint_id: EndpointId, caller: CurrentCaller) -> DeliveryDetailView:
        """An event `webhook.test`, signed and retried like any other; a disabled address gets it too."""
        return DeliveryDetailView.of(await run_in_threadpool(acts.test, owner_of(caller), endpoint_id))

    outer = APIRouter()
    outer.include_router(router)

    @outer.post(
        "/v1/jobs/{job_id}/deliveries/{delivery_id}/redeliver",
        tags=["webhooks"],
        status_code=202,
        summary="Tell of a job again",
        responses=documented(404, 409, 422, 503),
    )
    async def redeliver_of_job(job_id: JobId, delivery_id: DeliveryId, caller: CurrentCaller) -> DeliveryView:
        """Send one delivery of a job again, under its old id, with all attempts anew."""
        caller.check_changes(await run_in_threadpool(jobs.get, job_id))
        return DeliveryView.of(await run_in_threadpool(acts.redeliver, delivery_id, job_id=job_id))

    return outer
