"""Every BatchStore is all or nothing, follows its jobs, and reports its end once."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from shared.domain.batch import Batch, BatchState, ItemState
from shared.domain.job import Job
from shared.domain.job_fields import Callback, Problem
from shared.domain.job_state import JobState
from shared.domain.webhooks.events import EventType
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.batches import BatchStore
from shared.ports.jobs import JobStore
from shared.ports.webhooks import DeliveryStore
from shared.redis.batches.store import RedisBatchStore
from tests.support.factories import make_batch, make_job, make_report

CALLBACK = Callback(url="https://hooks.example/a", events=(EventType.BATCH_COMPLETED,), secret="whsec_c2Vj")


def start(job: Job) -> Job:
    return job.start(worker="w", now=10.0, lease_seconds=15)


def fail(job: Job) -> Job:
    return job.fail(job.attempts, Problem(code="x", message="x", retryable=True), now=11.0)


def succeed(job: Job) -> Job:
    return job.succeed(job.attempts, make_report(), now=12.0)


def new(batch_id: str, job_ids: Sequence[str]) -> list[tuple[None, Job]]:
    return [(None, make_job(job_id, batch_id=batch_id, queue="batch")) for job_id in job_ids]


def made(batches: BatchStore, *job_ids: str, **fields: Any) -> Batch:
    batch = make_batch("batch-1", *job_ids, **{"callback": CALLBACK} | fields)
    batches.create(batch, new(batch.id, job_ids))
    return batch


def end(jobs: JobStore, job_id: str, how: Any = succeed) -> None:
    jobs.change(job_id, start)
    jobs.change(job_id, how)


def told(deliveries: DeliveryStore) -> list[dict[str, Any]]:
    events = deliveries.pending_events(limit=100)
    assert all(event.batch_id == "batch-1" for event in events)
    return [json.loads(event.body) for event in events]


def test_a_batch_is_read_with_its_jobs(jobs: JobStore, batches: BatchStore) -> None:
    batch = made(batches, "a", "b", owner="key-1", name="Spring")
    assert batches.get("batch-1") == Batch(**{**fields_of(batch), "version": 1})
    assert [jobs.get(job_id).batch_id for job_id in "ab"] == ["batch-1"] * 2
    assert jobs.backlog("batch").waiting == 2
    assert set(jobs.due_work(now=50.0, limit=9).queued_due) == {"a", "b"}
    with pytest.raises(NotFound):
        batches.get("nobody")


def fields_of(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in Batch.__dataclass_fields__}


def test_uploads_become_jobs_of_the_batch(jobs: JobStore, batches: BatchStore) -> None:
    jobs.add(make_job("a", state=JobState.AWAITING_UPLOAD, queue="interactive", expires_at=99.0))
    old = jobs.get("a")
    submitted = old.submit(now=5.0)
    batches.create(make_batch("batch-1", "a"), [(old, submitted)])
    job = jobs.get("a")
    assert (job.state, job.version, job.expires_at) == (JobState.QUEUED, 2, None)
    assert jobs.due_work(now=200.0, limit=9).expired == ()


def test_a_batch_whose_upload_has_changed_is_not_recorded(jobs: JobStore, batches: BatchStore) -> None:
    jobs.add(make_job("a", state=JobState.AWAITING_UPLOAD))
    old = jobs.get("a")
    jobs.change("a", lambda job: job.cancel(now=3.0))
    steps = [*new("batch-1", ["b"]), (old, old.submit(now=5.0))]
    with pytest.raises(Conflict):
        batches.create(make_batch("batch-1", "b", "a", owner="key-1"), steps)
    for look in (lambda: jobs.get("b"), lambda: batches.get("batch-1")):
        with pytest.raises(NotFound):
            look()
    assert jobs.get("a").state is JobState.CANCELED
    assert batches.page("key-1", cursor=None, limit=9).batches == ()


def test_an_id_cannot_be_used_twice(jobs: JobStore, batches: BatchStore) -> None:
    made(batches, "a")
    with pytest.raises(Conflict):
        batches.create(make_batch("batch-1", "b"), new("batch-1", ["b"]))
    with pytest.raises(NotFound):
        jobs.get("b")


def test_a_batch_has_the_states_of_its_jobs(jobs: JobStore, batches: BatchStore) -> None:
    made(batches, "a", "b", "c", "d")
    end(jobs, "a")
    jobs.change("b", start)
    jobs.change("d", lambda job: job.cancel(now=3.0))
    batch, live = batches.get_with_item_states("batch-1")
    assert batch.states(live) == (
        ItemState.SUCCEEDED,
        ItemState.RUNNING,
        ItemState.QUEUED,
        ItemState.CANCELED,
    )
    assert batch.items[0].outcome is not None
    assert (batch.items[0].outcome.verdict, batch.items[0].outcome.a4_hz) == ("432", 432.04)
    with pytest.raises(NotFound):
        batches.get_with_item_states("nobody")


def test_the_event_is_written_once_with_the_last_job(
    jobs: JobStore, batches: BatchStore, deliveries: DeliveryStore
) -> None:
    made(batches, "a", "b")
    end(jobs, "a", fail)
    assert told(deliveries) == []
    end(jobs, "b")
    [body] = told(deliveries)
    assert (body["type"], body["data"]["id"], body["data"]["state"]) == (
        "batch.completed",
        "batch-1",
        "completed",
    )
    assert (body["data"]["counts"]["failed"], body["data"]["counts"]["succeeded"]) == (1, 1)
    jobs.change("a", lambda job: job.retry(now=9.0, attempts=3))
    assert batches.get("batch-1").state is BatchState.RUNNING
    end(jobs, "a")
    assert batches.get("batch-1").state is BatchState.COMPLETED
    assert len(told(deliveries)) == 1


def test_dead_and_deleted_jobs_complete_a_batch_too(
    jobs: JobStore, batches: BatchStore, deliveries: DeliveryStore
) -> None:
    made(batches, "a", "b", "c")
    jobs.change("a", lambda job: start(job))
    for _ in range(3):
        job = jobs.change("a", lambda job: job.lose_attempt("died", now=1e6))
        if not job.state.is_final:
            jobs.change("a", lambda job: job.start(worker="w", now=2e6, lease_seconds=1))
    jobs.remove("b")
    assert told(deliveries) == []
    jobs.remove("c")
    assert [body["data"]["counts"] for body in told(deliveries)] == [
        {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "dead": 1, "canceled": 0, "gone": 2}
    ]


def test_many_jobs_that_end_at_once_complete_a_batch_once(
    jobs: JobStore, batches: BatchStore, deliveries: DeliveryStore
) -> None:
    ids = [f"job-{number}" for number in range(24)]
    made(batches, *ids)
    threads = [threading.Thread(target=end, args=[jobs, job_id]) for job_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch = batches.get("batch-1")
    assert batch.open_ids == ()
    assert batch.version == 1 + len(ids)
    assert [body["data"]["counts"]["succeeded"] for body in told(deliveries)] == [24]


def test_a_batch_that_is_being_deleted_sends_no_event(
    jobs: JobStore, batches: BatchStore, deliveries: DeliveryStore
) -> None:
    made(batches, "a", "b")
    batches.change("batch-1", Batch.mark_deleting)
    jobs.remove("a")
    jobs.remove("b")
    batches.remove("batch-1")
    batches.remove("batch-1")
    assert told(deliveries) == []
    with pytest.raises(NotFound):
        batches.get("batch-1")


def test_jobs_can_outlive_their_batch(jobs: JobStore, batches: BatchStore) -> None:
    made(batches, "a", "b", owner="key-1")
    batches.remove("batch-1")
    end(jobs, "a")
    jobs.remove("b")
    assert jobs.get("a").state is JobState.SUCCEEDED
    assert batches.page("key-1", cursor=None, limit=9).batches == ()
    with pytest.raises(NotFound):
        batches.get("batch-1")


def test_pages_go_newest_first_without_gaps_or_repeats(batches: BatchStore) -> None:
    for number in range(11):
        owner = "key-2" if number == 5 else "key-1"
        batch = make_batch(f"b-{number:02}", f"j-{number}", owner=owner, created_at=100.0 + number // 3)
        batches.create(batch, new(batch.id, [f"j-{number}"]))
    seen: list[str] = []
    cursor = None
    while True:
        page = batches.page("key-1", cursor=cursor, limit=2)
        seen += [batch.id for batch in page.batches]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"b-{number:02}" for number in range(10, -1, -1) if number != 5]
    assert batches.page("nobody", cursor=None, limit=2).batches == ()
    everybody = [batch.id for batch in batches.page(None, cursor=None, limit=20).batches]
    assert everybody == [f"b-{number:02}" for number in range(10, -1, -1)]
    batches.remove("b-05")
    assert "b-05" not in [batch.id for batch in batches.page(None, cursor=None, limit=20).batches]


@pytest.mark.parametrize("cursor", ["nonsense", "nan:x", "inf:x"])
def test_an_invalid_cursor_is_refused(batches: BatchStore, cursor: str) -> None:
    with pytest.raises(BadRequest):
        batches.page("key-1", cursor=cursor, limit=2)


def test_a_completed_batch_expires_and_a_retried_one_does_not(
    jobs: JobStore, batches: BatchStore, prefix: str, request: pytest.FixtureRequest
) -> None:
    if not isinstance(batches, RedisBatchStore):
        pytest.skip("memory forgets nothing")
    client = request.getfixturevalue("client")
    made(batches, "a", keep_seconds=100.0)
    assert client.ttl(f"{prefix}batch:batch-1") == -1
    end(jobs, "a", fail)
    assert 90 < client.ttl(f"{prefix}batch:batch-1") <= 100
    jobs.change("a", lambda job: job.retry(now=9.0, attempts=3))
    assert client.ttl(f"{prefix}batch:batch-1") == -1
    end(jobs, "a")
    client.expire(f"{prefix}batch:batch-1", 50)
    jobs.remove("a")
    assert client.ttl(f"{prefix}batch:batch-1") <= 50


def test_expired_batches_disappear_from_the_list_of_their_owner(
    batches: BatchStore, prefix: str, request: pytest.FixtureRequest
) -> None:
    if not isinstance(batches, RedisBatchStore):
        pytest.skip("memory forgets nothing")
    client = request.getfixturevalue("client")
    for number in range(6):
        batch = make_batch(f"b-{number}", f"j-{number}", owner="key-1", created_at=float(number))
        batches.create(batch, new(batch.id, [f"j-{number}"]))
        client.delete(f"{prefix}batch:b-{number}")
    assert client.zcard(f"{prefix}batches:key-1") == 1
