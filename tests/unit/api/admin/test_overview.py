"""The overview page."""

import time
from dataclasses import replace

from shared.outbound.address_rules import HttpResponse
from shared.ports.uploads import UploadInfo
from tests.support.api_harness import VIEWER_PASSWORD, ApiHarness
from tests.support.dashboard import HTML, log_in, make_dead_job, make_worker
from tests.support.factories import make_job
from tests.support.fakes.webhooks import MemoryHttpSender, make_delivery, make_endpoint
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker


def test_the_overview_lists_warnings_the_worst_first(api: ApiHarness) -> None:
    api.jobs.add(make_job("job-1", queued_at=time.time() - 100))
    api.jobs.add(make_dead_job("job-2"))
    api.controls.pause("batch")
    page = log_in(api, VIEWER_PASSWORD).get("/admin").text
    assert "<h1>No worker is running. Jobs wait until you start one.</h1>" in page
    assert "The queue batch is paused." in page
    assert "A job in the queue interactive has been waiting for 1 min 4" in page
    assert "1 job is dead." in page


def test_the_overview_warns_of_a_worker_whose_clock_is_wrong(api: ApiHarness) -> None:
    api.workers.heartbeat(replace(make_worker(), clock_skew_seconds=-300.2))
    client = log_in(api)
    assert (
        "The clock of the worker host:7 is off by -300 s. Synchronize it with NTP."
        in client.get("/admin").text
    )
    worker = client.get("/admin/api/now").json()["workers"][0]
    assert worker["clock_skew_seconds"] == -300.2
    api.workers.heartbeat(replace(make_worker(), clock_skew_seconds=0.004))
    assert "The clock of the worker" not in client.get("/admin").text


def test_the_overview_shows_workers_and_their_memory(api: ApiHarness) -> None:
    api.workers.heartbeat(make_worker())
    page = log_in(api).get("/admin").text
    assert "The worker host:7 uses more than 90 % of its memory." in page
    assert 'href="/admin/jobs/job-1"' in page
    assert "Drain" in page


def test_a_worker_is_commanded_only_after_a_question(api: ApiHarness) -> None:
    api.workers.heartbeat(make_worker())
    client = log_in(api)
    page = client.get("/admin").text
    for command in ("drain", "restart"):
        assert f'href="/admin/workers/host%3A7/{command}"' in page
        question = client.get(f"/admin/workers/host%3A7/{command}").text
        assert f"{command.capitalize()} host:7?" in question
        assert 'action="/admin/workers/host%3A7"' in question
    assert api.controls.commands() == {}
    assert client.get("/admin/workers/host%3A7/explode").status_code == 422


def test_the_overview_shows_uploads_in_progress(api: ApiHarness) -> None:
    now = time.time()
    upload = UploadInfo(
        id="u", started_at=now - 5, seen_at=now, received_bytes=5_000_000, declared_bytes=9_000_000,
        filename="big.wav",
    )  # fmt: skip
    api.uploads.heartbeat([upload])
    page = log_in(api, VIEWER_PASSWORD).get("/admin").text
    assert "big.wav" in page
    assert "5.0 MB" in page


def test_the_overview_warns_about_a_disabled_webhook_endpoint(api: ApiHarness) -> None:
    begin, outbound = time.time() - 4 * 86_400, MemoryHttpSender()
    outbound.answer = HttpResponse(status=500, headers={}, body=b"", is_internal=False)
    api.endpoints.add(make_endpoint())
    for day in range(4):
        assert "is disabled" not in log_in(api, VIEWER_PASSWORD).get("/admin").text
        api.deliveries.add(make_delivery(day, endpoint_id="ep_1", owner="key-1", secret=None))
        notifier = DeliveryWorker(
            deliveries=api.deliveries,
            endpoints=api.endpoints,
            outbound=outbound,
            config=DeliveryConfig(timeout_seconds=15),
            clock=lambda day=day: begin + day * 86_400,  # type: ignore[misc]  # each day its own
        )
        assert notifier.deliver(f"msg_{day}") is not None
    page = log_in(api, VIEWER_PASSWORD).get("/admin").text
    assert "The webhook ep_1 of the API key key-1 is disabled: It failed for three days." in page


def test_dead_jobs_are_acknowledged_until_there_are_more(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api)
    assert "1 job is dead." in client.get("/admin").text
    client.post("/admin/dead/acknowledge")
    assert "dead." not in client.get("/admin").text
    api.jobs.add(make_dead_job("job-2"))
    assert "1 job is dead." in client.get("/admin").text


def test_a_batch_queue_may_wait_longer_than_an_interactive_one() -> None:
    api = ApiHarness(max_latency_seconds={"interactive": 60, "batch": 3600})
    api.jobs.add(make_job("job-1", queue="batch", queued_at=time.time() - 600))
    with api.client:
        api.client.headers.update(HTML)
        page = log_in(api).get("/admin").text
    assert "A job in the queue batch has been waiting" not in page
