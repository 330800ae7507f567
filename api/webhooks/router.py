"""The routes under /v1/webhooks: endpoints that receive the events of every job of an API key."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.access.authentication import CurrentCaller
from api.http.problems import documented
from api.http.provided import provided
from api.http.schemas import JobId, Moment
from api.webhooks.schemas import (
    CreateEndpoint,
    DeliveryDetailView,
    DeliveryListView,
    DeliveryView,
    EndpointListView,
    EndpointView,
    RedeliveredView,
    RedeliverFailed,
    RotateSecret,
    SecretView,
    UpdateEndpoint,
)
from api.webhooks.service import WebhookService, owner_of
from shared.clock import store_time
from shared.ports.jobs import JobStore

EndpointId = Annotated[str, Path(max_length=64)]
DeliveryId = Annotated[str, Path(max_length=64)]
Webhooks = Annotated[WebhookService, provided(WebhookService)]

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=documented(401, 422, 503))
job_router = APIRouter(prefix="/v1/jobs", tags=["webhooks"])


@router.get("/secret", summary="Get the signing secret")
def get_webhook_secret(caller: CurrentCaller, webhooks: Webhooks, response: Response) -> SecretView:
    """It signs every webhook of this API key, including those to a `callback_url`."""
    response.headers["Cache-Control"] = "no-store"
    return SecretView.of(webhooks.secrets(owner_of(caller)), now=store_time())


@router.post("/secret/rotate", summary="Rotate the signing secret")
def rotate_webhook_secret(
    caller: CurrentCaller, webhooks: Webhooks, response: Response, rotation: RotateSecret | None = None
) -> SecretView:
    """Both secrets sign during the overlap, so that receivers can switch without a gap."""
    response.headers["Cache-Control"] = "no-store"
    overlap = (rotation or RotateSecret()).overlap_seconds
    return SecretView.of(webhooks.rotate(owner_of(caller), overlap_seconds=overlap), now=store_time())


@router.get("/deliveries", summary="List deliveries", responses=documented(404))
def list_webhook_deliveries(
    caller: CurrentCaller,
    webhooks: Webhooks,
    endpoint_id: Annotated[
        str | None, Query(max_length=64, description="Only deliveries to this endpoint.")
    ] = None,
    since: Annotated[Moment | None, Query(description="RFC 3339, with an offset.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> DeliveryListView:
    """The deliveries of the last days with all their attempts, newest first."""
    deliveries = webhooks.list_deliveries(
        owner_of(caller),
        endpoint_id=endpoint_id,
        since=since.timestamp() if since else None,
        limit=limit,
    )
    return DeliveryListView(deliveries=[DeliveryDetailView.of(delivery) for delivery in deliveries])


@router.post("/redeliver", status_code=202, summary="Redeliver failed deliveries", responses=documented(404))
def redeliver_failed_webhooks(
    request: RedeliverFailed, caller: CurrentCaller, webhooks: Webhooks
) -> RedeliveredView:
    """Sends every delivery that failed since a time again, at most a thousand at once."""
    count, more = webhooks.redeliver_since(
        owner_of(caller), since=request.since.timestamp(), endpoint_id=request.endpoint_id
    )
    return RedeliveredView(redelivered=count, more=more)


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Redeliver one delivery",
    responses=documented(404, 409),
)
def redeliver_webhook(
    delivery_id: DeliveryId, caller: CurrentCaller, webhooks: Webhooks
) -> DeliveryDetailView:
    """Sends it again with the same id and all attempts, whether it had succeeded or not."""
    return DeliveryDetailView.of(webhooks.redeliver(delivery_id, owner=owner_of(caller)))


@router.post("", status_code=201, summary="Register a webhook", responses=documented(400, 409))
async def create_webhook(
    new: CreateEndpoint, caller: CurrentCaller, webhooks: Webhooks, response: Response
) -> EndpointView:
    """It receives the events of every job of this API key from now on."""
    endpoint = await webhooks.create(caller, new)
    response.headers["Location"] = f"/v1/webhooks/{endpoint.id}"
    return EndpointView.of(endpoint)


@router.get("", summary="List webhooks")
def list_webhooks(caller: CurrentCaller, webhooks: Webhooks) -> EndpointListView:
    """The webhooks of this API key, oldest first."""
    endpoints = webhooks.endpoints.list_for_owner(owner_of(caller))
    return EndpointListView(webhooks=[EndpointView.of(endpoint) for endpoint in endpoints])


@router.get("/{endpoint_id}", summary="Get a webhook", responses=documented(404))
def get_webhook(endpoint_id: EndpointId, caller: CurrentCaller, webhooks: Webhooks) -> EndpointView:
    """Its settings, and whether its deliveries fail."""
    return EndpointView.of(webhooks.get(owner_of(caller), endpoint_id))


@router.patch("/{endpoint_id}", summary="Update a webhook", responses=documented(400, 404))
async def update_webhook(
    endpoint_id: EndpointId, changes: UpdateEndpoint, caller: CurrentCaller, webhooks: Webhooks
) -> EndpointView:
    """Fields that you leave out stay as they are."""
    return EndpointView.of(await webhooks.update(caller, endpoint_id, changes))


@router.delete("/{endpoint_id}", status_code=204, summary="Delete a webhook", responses=documented(404))
def delete_webhook(endpoint_id: EndpointId, caller: CurrentCaller, webhooks: Webhooks) -> Response:
    """Its pending deliveries are dropped."""
    webhooks.delete(owner_of(caller), endpoint_id)
    return Response(status_code=204)


@router.post("/{endpoint_id}/test", status_code=202, summary="Send a test event", responses=documented(404))
def send_test_event(endpoint_id: EndpointId, caller: CurrentCaller, webhooks: Webhooks) -> DeliveryDetailView:
    """Sends a `webhook.test` event, signed and retried like any other, also to a disabled webhook."""
    return DeliveryDetailView.of(webhooks.test(owner_of(caller), endpoint_id))


@job_router.post(
    "/{job_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Redeliver a job's webhook",
    responses=documented(404, 409, 422, 503),
)
def redeliver_job_webhook(
    job_id: JobId,
    delivery_id: DeliveryId,
    caller: CurrentCaller,
    jobs: Annotated[JobStore, provided(JobStore)],
    webhooks: Webhooks,
) -> DeliveryView:
    """Sends one delivery of a job again, with the same id and all attempts."""
    caller.check_can_change(jobs.get(job_id))
    return DeliveryView.of(webhooks.redeliver(delivery_id, job_id=job_id))
