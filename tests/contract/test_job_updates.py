"""Every Transitions tells what became of every job, in order."""

import threading

from shared.domain.job import Job
from shared.ports.jobs import JobStore, JobUpdateLog
from tests.support.factories import make_job


def start(job: Job) -> Job:
    return job.start(worker="w", now=1.0, lease_seconds=10)


def test_updates_after_a_cursor_come_once_and_in_order(jobs: JobStore, transitions: JobUpdateLog) -> None:
    jobs.add(make_job("before"))
    cursor = transitions.latest_cursor()
    jobs.add(make_job("job-1"))
    jobs.change("job-1", start)
    jobs.change("job-1", lambda job: job.renew_lease(1, now=2.0, lease_seconds=10))
    jobs.change("job-1", lambda job: job.cancel(now=3.0))
    jobs.remove("job-1")
    told = transitions.read_after(cursor, wait_seconds=1)
    assert [(change.job_id, change.state) for change in told] == [
        ("job-1", "queued"),
        ("job-1", "running"),
        ("job-1", "running"),
        ("job-1", "removed"),
    ]
    assert transitions.read_after(told[1].cursor, wait_seconds=1) == told[2:]
    assert transitions.latest_cursor() == told[-1].cursor


def test_no_update_is_not_an_error(transitions: JobUpdateLog) -> None:
    assert transitions.read_after(transitions.latest_cursor(), wait_seconds=0.01) == ()


def test_a_waiting_reader_gets_a_new_update(jobs: JobStore, transitions: JobUpdateLog) -> None:
    cursor = transitions.latest_cursor()
    writer = threading.Timer(0.1, jobs.add, [make_job()])
    writer.start()
    told = transitions.read_after(cursor, wait_seconds=4)
    writer.join()
    assert [change.job_id for change in told] == ["job-1"]
