"""Queues, workers and webhooks."""

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.events import EventType
from shared.ports.workers import WorkerCommand
from tests.support.api_harness import ApiHarness
from tests.support.dashboard import audited, log_in, make_worker
from tests.support.factories import make_job
from tests.support.fakes.webhooks import make_delivery, make_endpoint


def test_an_operator_pauses_and_resumes_a_queue(api: ApiHarness) -> None:
    client = log_in(api, name="Ann")
    said = client.post("/admin/queues/batch", data={"action": "pause"}).text
    assert "The queue batch is paused." in said
    client.post("/admin/queues/batch", data={"action": "resume"})
    assert api.controls.paused() == frozenset()
    acts = [(entry.who, entry.act, entry.what) for entry in audited(api)]
    assert acts == [
        ("operator Ann", "resume", "queue batch"),
        ("operator Ann", "pause", "queue batch"),
    ]
    assert "operator Ann" in client.get("/admin/audit").text
    assert client.post("/admin/queues/nonsense", data={"action": "pause"}).status_code == 404


def test_an_operator_drains_and_resumes_a_worker(api: ApiHarness) -> None:
    api.workers.heartbeat(make_worker())
    client = log_in(api)
    client.post("/admin/workers/host:7", data={"action": "drain"})
    assert api.controls.commands() == {"host:7": WorkerCommand.DRAIN}
    assert "draining" in client.get("/admin").text
    client.post("/admin/workers/host:7", data={"action": "resume"})
    assert api.controls.commands() == {}
    assert client.post("/admin/workers/nobody", data={"action": "drain"}).status_code == 404


def test_a_webhook_is_redelivered(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.deliveries.add(
        Delivery(
            id="msg_1",
            type=next(iter(EventType)),
            url="https://example.org/x",
            server="example.org:443",
            body="{}",
            created_at=1.0,
            job_id="job-1",
            state=DeliveryState.FAILED,
            why="No attempt was answered.",
        )
    )
    client = log_in(api)
    page = client.get("/admin/jobs/job-1").text
    assert "example.org:443" in page
    assert "No attempt was answered." in page
    client.post("/admin/webhooks/msg_1", data={"back": "/admin/jobs/job-1"})
    assert api.deliveries.get("msg_1").state is DeliveryState.PENDING


def test_webhook_endpoints_and_their_deliveries_are_listed(api: ApiHarness) -> None:
    api.endpoints.add(make_endpoint())
    api.deliveries.add(make_delivery(1, endpoint_id="ep_1", owner="key-1"))
    client = log_in(api)
    page = client.get("/admin/webhooks").text
    assert 'href="/admin/webhooks/ep_1"' in page
    assert "t0psecret" not in page
    detail = client.get("/admin/webhooks/ep_1").text
    assert "Redeliver" in detail
    assert "hooks.example" in detail
    assert "t0psecret" not in detail
    assert client.get("/admin/webhooks/none").status_code == 404
