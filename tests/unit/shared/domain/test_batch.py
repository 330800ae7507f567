from dataclasses import replace

import pytest

from shared.domain.batch import MAX_ITEMS, Batch, BatchItem, BatchState, ItemState, affected_batch_id
from shared.domain.job import Job
from shared.domain.job_fields import Callback, Problem
from shared.domain.webhooks.events import EventType
from shared.schemas.batch import BatchView
from shared.schemas.webhook_event import batch_event
from tests.support.factories import make_batch, make_job, make_report

CALLBACK = Callback(url="https://hooks.example/a", events=(EventType.BATCH_COMPLETED,), secret="whsec_c2Vj")


def running(job_id: str) -> Job:
    return make_job(job_id, batch_id="batch-1").start(worker="w", now=2.0, lease_seconds=15)


def succeeded(job_id: str) -> Job:
    return running(job_id).succeed(1, make_report(), now=3.0)


def failed(job_id: str) -> Job:
    problem = Problem(code="undecodable", message="x", retryable=True)
    return running(job_id).fail(1, problem, now=3.0)


def see(batch: Batch, *jobs: Job, now: float = 3.0) -> Batch:
    for job in jobs:
        batch = batch.record_job(job.id, job, now=now)
    return batch


def test_a_batch_is_completed_when_its_last_job_has_ended() -> None:
    first = see(make_batch(), succeeded("job-1"))
    assert (first.state, first.completed_at, first.expires_at) == (BatchState.RUNNING, None, None)
    assert first.open_ids == ("job-2",)
    both = see(first, failed("job-2"), now=5.0)
    assert (both.state, both.completed_at, both.expires_at) == (BatchState.COMPLETED, 5.0, 105.0)
    outcomes = [item.outcome for item in both.items]
    assert [(one.state, one.verdict, one.problem) for one in outcomes if one] == [
        (ItemState.SUCCEEDED, "432", None),
        (ItemState.FAILED, None, "undecodable"),
    ]


def test_a_retry_after_completion_keeps_completed_at() -> None:
    done = see(make_batch(), succeeded("job-1"), failed("job-2"), now=5.0)
    retried = failed("job-2").retry(now=6.0, attempts=3)
    again = see(done, retried, now=6.0)
    assert (again.state, again.completed_at, again.expires_at) == (BatchState.RUNNING, 5.0, None)
    end = see(again, succeeded("job-2"), now=9.0)
    assert (end.state, end.completed_at, end.expires_at) == (BatchState.COMPLETED, 5.0, 109.0)


def test_a_retry_before_completion_delays_it() -> None:
    batch = see(make_batch(), failed("job-1"), failed("job-1").retry(now=4.0, attempts=3), succeeded("job-2"))
    assert batch.completed_at is None
    assert see(batch, succeeded("job-1"), now=9.0).completed_at == 9.0


def test_the_result_of_a_deleted_job_is_removed() -> None:
    batch = see(make_batch(), succeeded("job-1")).record_job("job-1", None, now=4.0)
    assert batch.items[0].outcome is not None
    assert (batch.items[0].outcome.state, batch.items[0].outcome.verdict) == (ItemState.GONE, None)


def test_the_deletion_of_the_last_open_job_completes_a_batch() -> None:
    assert see(make_batch(), succeeded("job-1")).record_job("job-2", None, now=7.0).completed_at == 7.0


def test_a_deletion_after_completion_does_not_change_completed_at() -> None:
    done = see(make_batch(), succeeded("job-1"), succeeded("job-2"), now=5.0)
    later = done.record_job("job-1", None, now=50.0)
    assert (later.completed_at, later.expires_at) == (5.0, 105.0)


@pytest.mark.parametrize(
    ("old", "new", "yes"),
    [
        (None, make_job(batch_id="batch-1"), False),
        (make_job(batch_id="batch-1"), running("job-1"), False),
        (running("job-1"), succeeded("job-1"), True),
        (succeeded("job-1"), succeeded("job-1").mark_audio_deleted(), False),
        (failed("job-1"), failed("job-1").retry(now=4.0, attempts=1), True),
        (make_job(batch_id="batch-1"), None, True),
        (succeeded("job-1"), None, True),
        (replace(running("job-1"), batch_id=None), replace(succeeded("job-1"), batch_id=None), False),
    ],
)
def test_only_ends_retries_and_removals_change_a_batch(old: Job | None, new: Job | None, yes: bool) -> None:
    assert affected_batch_id(old, new) == ("batch-1" if yes else None)


def test_the_event_of_a_batch_is_created_once() -> None:
    start = make_batch(callback=CALLBACK)
    half = see(start, failed("job-1"))
    done = see(half, succeeded("job-2"), now=5.0)
    again = see(done, failed("job-1").retry(now=6.0, attempts=3), succeeded("job-1"), now=7.0)
    assert batch_event(start, half) is None
    event = batch_event(half, done)
    assert event is not None
    assert (event.type, event.batch_id, event.job_id, event.callback) == (
        "batch.completed",
        "batch-1",
        None,
        CALLBACK,
    )
    assert '"verdict":"432"' in event.body
    assert batch_event(done, again) is None


def test_a_deleted_or_unsubscribed_batch_has_no_event() -> None:
    for batch in (make_batch(callback=CALLBACK).mark_deleting(), make_batch()):
        done = see(batch, succeeded("job-1"), succeeded("job-2"))
        assert batch_event(batch, done) is None


def test_the_endpoints_of_a_key_get_the_event_even_if_the_callback_does_not() -> None:
    callback = replace(CALLBACK, events=(EventType.FAILED,))
    batch = make_batch(owner="key-1", callback=callback)
    event = batch_event(batch, see(batch, succeeded("job-1"), succeeded("job-2")))
    assert event is not None
    assert event.callback is None


def test_the_body_of_a_full_batch_stays_small() -> None:
    batch = make_batch(
        owner="key-1",
        items=tuple(BatchItem(job_id=f"{number:022}", filename="x" * 200) for number in range(MAX_ITEMS)),
    )
    done = see(batch, *(succeeded(item.job_id) for item in batch.items))
    event = batch_event(batch, done)
    assert event is not None
    assert len(event.body.encode()) < 20_000


def test_the_view_counts_every_item_once() -> None:
    batch = see(make_batch("batch-1", "a", "b", "c", "d"), succeeded("a")).record_job("b", None, now=3.0)
    view = BatchView.of(batch, {"c": ItemState.RUNNING})
    assert {name: n for name, n in view.counts.model_dump().items() if n} == {
        "succeeded": 1,
        "gone": 1,
        "running": 1,
        "queued": 1,
    }
    assert (view.total, view.done, view.progress, view.state) == (4, 2, 0.5, "running")
    assert [item.state for item in view.items] == ["succeeded", "gone", "running", "queued"]
