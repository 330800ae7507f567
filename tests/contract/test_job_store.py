import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.domain.source import Source
from shared.errors import BadRequest, Conflict, NotFound
from shared.ports.jobs import JobQuery, JobStore
from tests.support.factories import make_job, make_report


def start(job: Job) -> Job:
    return job.start(worker="w", now=10.0, lease_seconds=15)


def test_a_job_is_read_as_it_was_written(jobs: JobStore) -> None:
    job = make_job(owner="key-1", start_seconds=2.5, request_id="r")
    jobs.add(job)
    assert jobs.get(job.id) == replace(job, version=1)


def test_a_report_keeps_every_digit_that_anybody_is_shown(jobs: JobStore) -> None:
    report = make_report(a4_hz=432.0401, uncertainty_cents=0.123456)
    jobs.add(make_job())
    jobs.change("job-1", start)
    jobs.change("job-1", lambda job: job.succeed(1, report, now=11.0, memory_peak_bytes=7))
    assert jobs.get("job-1").report == report


def test_an_unknown_job_is_not_found(jobs: JobStore) -> None:
    with pytest.raises(NotFound):
        jobs.get("nobody")
    with pytest.raises(NotFound):
        jobs.change("nobody", start)
    jobs.remove("nobody")


def test_an_id_cannot_be_used_twice(jobs: JobStore) -> None:
    jobs.add(make_job())
    with pytest.raises(Conflict):
        jobs.add(make_job())


def test_a_refused_step_changes_nothing(jobs: JobStore) -> None:
    jobs.add(make_job())
    jobs.change("job-1", start)
    before = jobs.get("job-1")
    with pytest.raises(Conflict):
        jobs.change("job-1", start)
    assert jobs.get("job-1") == before


def test_one_of_many_workers_gets_the_job(jobs: JobStore) -> None:
    jobs.add(make_job())
    started: list[int] = []

    def work(number: int) -> None:
        try:
            jobs.change("job-1", lambda job: job.start(worker=str(number), now=time.time(), lease_seconds=60))
            started.append(number)
        except Conflict:
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lease = jobs.get("job-1").lease
    assert lease is not None
    assert [lease.worker] == [str(number) for number in started]


def test_no_change_is_lost_among_many_writers(jobs: JobStore) -> None:
    jobs.add(make_job(attempts_allowed=0))

    def raise_it(_: int) -> None:
        jobs.change("job-1", lambda job: replace(job, attempts_allowed=job.attempts_allowed + 1))

    threads = [threading.Thread(target=raise_it, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs.get("job-1").attempts_allowed == 12


def test_position_and_backlog_follow_the_time_of_queueing(jobs: JobStore) -> None:
    for number in range(3):
        jobs.add(make_job(f"job-{number}", queued_at=100.0 + number))
    jobs.add(make_job("other", queue="batch", queued_at=1.0))
    assert [jobs.queue_position(jobs.get(f"job-{number}")) for number in range(3)] == [0, 1, 2]
    backlog = jobs.backlog("interactive")
    assert (backlog.waiting, backlog.oldest_queued_at) == (3, 100.0)
    jobs.change("job-0", start)
    assert jobs.queue_position(jobs.get("job-0")) is None
    assert jobs.queue_position(jobs.get("job-2")) == 1
    jobs.remove("job-1")
    assert jobs.backlog("interactive").oldest_queued_at == 102.0
    assert jobs.backlog("nothing").oldest_queued_at is None


def test_due_work_lists_exactly_what_is_overdue(jobs: JobStore) -> None:
    jobs.add(make_job("due", due_at=50.0))
    jobs.add(make_job("later", due_at=51.0))
    jobs.add(make_job("leased"))
    jobs.change("leased", start)
    jobs.add(make_job("ended", keep_seconds=30.0))
    jobs.change("ended", start)
    jobs.change("ended", lambda job: job.succeed(1, make_report(), now=20.0))
    chores = jobs.due_work(now=50.0, limit=10)
    assert chores.queued_due == ("due",)
    assert chores.lease_expired == ("leased",)
    assert chores.audio_to_delete == ("ended",)
    assert chores.expired == ("ended",)
    jobs.change("ended", Job.mark_audio_deleted)
    earlier = jobs.due_work(now=24.0, limit=10)
    assert (earlier.lease_expired, earlier.audio_to_delete, earlier.expired) == ((), (), ())


def test_a_long_queue_hides_no_overdue_job_of_another_queue(jobs: JobStore) -> None:
    for number in range(5):
        jobs.add(make_job(f"batch-{number}", queue="batch", due_at=1.0))
    jobs.add(make_job("person", queue="interactive", due_at=9.0))
    assert jobs.due_work(now=50.0, limit=2).queued_due == ("batch-0", "batch-1", "person")


def test_a_removed_job_leaves_no_due_work_and_no_index_entry(jobs: JobStore) -> None:
    jobs.add(make_job(owner="key-1"))
    jobs.remove("job-1")
    jobs.confirm_audio_deleted("job-1")
    assert jobs.due_work(now=1e12, limit=10) == type(jobs.due_work(now=0, limit=1))()
    assert jobs.page(JobQuery()).jobs == ()
    assert jobs.page(JobQuery(owner="key-1")).jobs == ()


def test_pages_go_newest_first_without_gaps_or_repeats(jobs: JobStore) -> None:
    for number in range(25):
        jobs.add(make_job(f"job-{number:02}", created_at=100.0 + number // 3))
    seen: list[str] = []
    cursor = None
    while True:
        page = jobs.page(JobQuery(cursor=cursor, limit=4))
        seen += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 25
    assert [int(job_id[4:]) // 3 for job_id in seen] == sorted((n // 3 for n in range(25)), reverse=True)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_pages_go_back_to_the_first_as_they_came(jobs: JobStore, oldest_first: bool) -> None:
    for number in range(25):
        jobs.add(make_job(f"job-{number:02}", created_at=100.0 + number // 3))
    pages: list[list[str]] = []
    cursor = None
    while True:
        page = jobs.page(JobQuery(cursor=cursor, limit=4, oldest_first=oldest_first))
        pages.append([job.id for job in page.jobs])
        cursor = page.cursor
        if cursor is None:
            break
    seen = [job_id for ids in pages for job_id in ids]
    assert seen == sorted((f"job-{number:02}" for number in range(25)), reverse=not oldest_first)
    previous = page.previous_cursor
    for expected in reversed(pages[:-1]):
        assert previous is not None
        page = jobs.page(JobQuery(cursor=previous, before=True, limit=4, oldest_first=oldest_first))
        assert [job.id for job in page.jobs] == expected
        previous = page.previous_cursor
    assert previous is None


def test_the_page_before_a_cursor_that_is_not_full_is_the_first_page(jobs: JobStore) -> None:
    for number in range(6):
        jobs.add(make_job(f"job-{number}", created_at=float(number)))
    older = jobs.page(JobQuery(cursor=jobs.page(JobQuery(limit=4)).cursor, limit=4))
    assert [job.id for job in older.jobs] == ["job-1", "job-0"]
    jobs.remove("job-5")
    back = jobs.page(JobQuery(cursor=older.previous_cursor, before=True, limit=4))
    assert [job.id for job in back.jobs] == ["job-4", "job-3", "job-2", "job-1"]
    assert back.previous_cursor is None


def test_pages_are_filtered_by_queue_batch_verdict_and_run_time(jobs: JobStore) -> None:
    jobs.add(make_job("a", created_at=10.0, batch_id="batch-1"))
    jobs.add(make_job("b", created_at=20.0, queue="batch"))
    jobs.add(make_job("c", created_at=30.0))
    jobs.change("c", start)
    report = make_report()
    jobs.change("c", lambda job: job.succeed(1, report, now=15.0))

    def ids(**query: Any) -> list[str]:
        return [job.id for job in jobs.page(JobQuery(**query)).jobs]

    assert ids(queue="batch") == ["b"]
    assert ids(batch_id="batch-1") == ["a"]
    assert ids(verdict=str(report.tuning.verdict)) == ["c"]
    assert ids(verdict="inconclusive") == []
    assert ids(verdict=str(report.tuning.verdict), queue="batch") == []
    assert ids(min_run_seconds=5.0) == ["c"]
    assert ids(min_run_seconds=5.1) == []


def test_pages_are_filtered_by_owner_state_time_and_name(jobs: JobStore) -> None:
    jobs.add(make_job("a", owner="key-1", created_at=10.0))
    jobs.add(make_job("b", owner="key-2", created_at=20.0, input=AudioInput(filename="Étude.wav")))
    jobs.add(make_job("c", owner="key-1", created_at=30.0))
    jobs.change("c", start)
    jobs.change("c", lambda job: job.fail(1, Problem(code="x", message="x", retryable=False), now=31.0))

    def ids(query: JobQuery) -> list[str]:
        return [job.id for job in jobs.page(query).jobs]

    assert ids(JobQuery(owner="key-1")) == ["c", "a"]
    assert ids(JobQuery(states=frozenset({JobState.FAILED}))) == ["c"]
    assert ids(JobQuery(states=frozenset({JobState.FAILED, JobState.QUEUED}))) == ["c", "b", "a"]
    assert ids(JobQuery(owner="key-1", states=frozenset({JobState.QUEUED}))) == ["a"]
    assert ids(JobQuery(created_after=20.0)) == ["c", "b"]
    assert ids(JobQuery(created_before=20.0)) == ["b", "a"]
    assert ids(JobQuery(name_contains="éTUDE")) == ["b"]


@pytest.mark.parametrize("cursor", ["nonsense", "nan:x", "inf:x", "-inf:x", "1e999:x", "1.0:", ":x"])
def test_an_invalid_cursor_is_refused(jobs: JobStore, cursor: str) -> None:
    with pytest.raises(BadRequest):
        jobs.page(JobQuery(cursor=cursor))


def test_a_job_can_be_removed_while_it_changes(jobs: JobStore) -> None:
    jobs.add(make_job(attempts_allowed=0))
    stop = threading.Event()

    def change_it() -> None:
        try:
            while not stop.is_set():
                jobs.change("job-1", lambda job: replace(job, attempts_allowed=job.attempts_allowed + 1))
        except NotFound:
            pass

    writer = threading.Thread(target=change_it)
    writer.start()
    try:
        jobs.remove("job-1")
    finally:
        stop.set()
        writer.join()
    with pytest.raises(NotFound):
        jobs.get("job-1")


def test_a_postponed_job_waits_from_its_due_time(jobs: JobStore) -> None:
    jobs.add(make_job("put-off", queued_at=1.0, due_at=500.0))
    jobs.add(make_job("now", queued_at=100.0, due_at=100.0))
    assert jobs.backlog("interactive").oldest_queued_at == 100.0
    assert jobs.queue_position(jobs.get("put-off")) == 1
    jobs.remove("now")
    assert jobs.backlog("interactive").oldest_queued_at == 500.0


def test_a_job_can_change_its_queue_before_it_is_queued(jobs: JobStore) -> None:
    jobs.add(make_job(state=JobState.AWAITING_UPLOAD, has_audio=False))
    jobs.change(
        "job-1",
        lambda job: replace(job, queue="fresh").submit(now=5.0),
    )
    assert jobs.due_work(now=6.0, limit=10).queued_due == ("job-1",)
    assert (jobs.backlog("fresh").waiting, jobs.backlog("interactive").waiting) == (1, 0)


def test_the_source_of_a_job_is_read_as_it_was_written(jobs: JobStore) -> None:
    source = Source.from_url("https://files.example:8443/song?signature=secret")
    jobs.add(make_job(source=source, has_audio=False))
    assert jobs.get("job-1").source == source


def test_a_job_is_removed_only_if_it_passes_the_condition_as_it_is_now(jobs: JobStore) -> None:
    jobs.add(make_job())
    looked_at: list[JobState] = []

    def condition(job: Job) -> bool:
        if not looked_at:
            jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
        looked_at.append(jobs.get("job-1").state)
        return job.state is JobState.QUEUED

    assert jobs.remove_if("job-1", lambda job: False) is None
    removed = jobs.remove_if("job-1", condition)
    assert (removed is None) == (jobs.get_many(["job-1"]) != {})
    jobs.remove("job-1")
    assert jobs.remove_if("job-1", lambda _: True) is None


def test_the_audio_of_a_removed_job_is_due_until_it_is_deleted(jobs: JobStore) -> None:
    jobs.add(make_job("with"))
    jobs.add(make_job("without", has_audio=False))
    assert set(jobs.get_many(["with", "without", "unknown"])) == {"with", "without"}
    jobs.remove("with")
    jobs.remove("without")
    assert jobs.due_work(now=1e9, limit=9).removed == ("with",)
    jobs.confirm_audio_deleted("with")
    assert jobs.due_work(now=1e9, limit=9).removed == ()
