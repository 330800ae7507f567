"""The overview page."""

import time

from shared.outbound.address_rules import Answer
from shared.ports.uploads import UploadInfo
from tests.support.dashboard import dead_job, log_in, running_worker
from tests.support.factories import a_job
from tests.support.fakes.webhooks import MemoryHttpSender, a_delivery, an_endpoint
from tests.unit.api.conftest import VIEWER, World
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker


def test_the_overview_lists_warnings_the_worst_first(world: World) -> None:
    world.jobs.add(a_job("job-1", queued_at=time.time() - 100))
    world.jobs.add(dead_job("job-2"))
    world.controls.pause("batch")
    page = log_in(world, VIEWER).get("/admin").text
    assert "<h1>No worker is running. Jobs wait until you start one.</h1>" in page
    assert "The queue batch is paused." in page
    assert "A job in interactive has been waiting for more than a minute." in page
    assert "One job is dead." in page


def test_the_overview_shows_workers_and_their_memory(world: World) -> None:
    world.workers.beat(running_worker())
    page = log_in(world).get("/admin").text
    assert "The worker host:7 uses more than 90 % of its memory." in page
    assert 'href="/admin/jobs/job-1"' in page
    assert "Drain" in page


def test_the_overview_shows_uploads_in_progress(world: World) -> None:
    now = time.time()
    upload = UploadInfo(
        id="u", started_at=now - 5, seen_at=now, received_bytes=5_000_000, declared_bytes=9_000_000,
        filename="big.wav",
    )  # fmt: skip
    world.uploads.beat([upload])
    page = log_in(world, VIEWER).get("/admin").text
    assert "big.wav" in page
    assert "5.0 MB" in page


def test_the_overview_warns_about_a_disabled_webhook_endpoint(world: World) -> None:
    begin, outbound = time.time() - 4 * 86_400, MemoryHttpSender()
    outbound.answer = Answer(status=500, headers={}, body=b"", is_internal=False)
    world.endpoints.add(an_endpoint())
    for day in range(4):
        assert "is disabled" not in log_in(world, VIEWER).get("/admin").text
        world.deliveries.add(a_delivery(day, endpoint_id="ep_1", owner="key-1", secret=None))
        notifier = DeliveryWorker(
            deliveries=world.deliveries,
            endpoints=world.endpoints,
            outbound=outbound,
            terms=DeliveryConfig(timeout_seconds=15),
            clock=lambda day=day: begin + day * 86_400,  # type: ignore[misc]  # each day its own
        )
        assert notifier.notify(f"msg_{day}") is not None
    page = log_in(world, VIEWER).get("/admin").text
    assert "The webhook ep_1 of the API key key-1 is disabled: It failed for three days." in page
