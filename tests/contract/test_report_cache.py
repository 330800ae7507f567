"""Every Recall gives the report of an analysis as long as its job is kept, and only to whom it belongs."""

from typing import Any

import pytest

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.report import ANALYSIS_VERSION, Report
from shared.domain.report_cache import report_cache_key
from shared.ports.jobs import JobStore
from shared.ports.uploads import ReportIndex
from tests.support.factories import make_job, make_report

WINDOW = 60.0


def analysed(jobs: JobStore, job_id: str, *, at: float = 10.0, a4_hz: float = 432.0, **fields: Any) -> Report:
    """A job that a worker has ended."""
    report = make_report(a4_hz=a4_hz, analysis_version=ANALYSIS_VERSION)
    jobs.add(make_job(job_id, **fields))
    jobs.change(job_id, lambda job: job.start(worker="w", now=at, lease_seconds=15))
    jobs.change(job_id, lambda job: job.succeed(1, report, now=at))
    return report


def recalled(
    recall: ReportIndex, job: Job, *, now: float = 20.0, window_seconds: float = WINDOW
) -> Report | None:
    key = report_cache_key(job, window_seconds=window_seconds)
    return None if key is None else recall.find(key, now=now)


def test_the_report_of_the_same_bytes_is_reused(jobs: JobStore, recall: ReportIndex) -> None:
    assert recalled(recall, make_job("new")) is None
    report = analysed(jobs, "job-1")
    assert recalled(recall, make_job("new")) == report


OTHERS = {
    "other bytes": make_job("new", input=AudioInput(sha256="cd" * 32)),
    "unknown bytes": make_job("new", input=AudioInput()),
    "another window": make_job("new", start_seconds=0.0),
    "another key": make_job("new", owner="key-1"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_different_bytes_and_options_are_not_reused(jobs: JobStore, recall: ReportIndex, case: str) -> None:
    analysed(jobs, "job-1")
    assert recalled(recall, OTHERS[case]) is None


def test_reports_are_not_shared_between_keys(jobs: JobStore, recall: ReportIndex) -> None:
    report = analysed(jobs, "job-1", owner="key-1")
    assert recalled(recall, make_job("new", owner="key-1")) == report
    assert recalled(recall, make_job("new", owner="key-2")) is None
    assert recalled(recall, make_job("new")) is None


def test_a_report_of_another_window_length_is_not_reused(jobs: JobStore, recall: ReportIndex) -> None:
    analysed(jobs, "job-1")
    assert recalled(recall, make_job("new"), window_seconds=30.0) is None


def test_a_report_of_another_version_is_not_reused(jobs: JobStore, recall: ReportIndex) -> None:
    jobs.add(make_job())
    jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=15))
    jobs.change("job-1", lambda job: job.succeed(1, make_report(analysis_version="before"), now=10.0))
    assert recalled(recall, make_job("new")) is None


def test_the_newest_report_is_reused_and_a_removed_one_is_not(jobs: JobStore, recall: ReportIndex) -> None:
    first = analysed(jobs, "job-1", at=10.0, a4_hz=432.0)
    second = analysed(jobs, "job-2", at=11.0, a4_hz=440.0)
    assert recalled(recall, make_job("new")) == second
    jobs.remove("job-2")
    assert recalled(recall, make_job("new")) == first
    jobs.remove("job-1")
    assert recalled(recall, make_job("new")) is None


def test_an_expired_report_is_not_reused_before_it_is_removed(jobs: JobStore, recall: ReportIndex) -> None:
    report = analysed(jobs, "job-1", at=10.0, keep_seconds=100.0)
    assert recalled(recall, make_job("new"), now=109.0) == report
    assert recalled(recall, make_job("new"), now=110.0) is None


def test_a_copy_of_a_report_is_not_reused(jobs: JobStore, recall: ReportIndex) -> None:
    report = analysed(jobs, "job-1")
    jobs.add(make_job("job-2").succeed_from_cache(report, now=15.0))
    assert jobs.get("job-2").report == report
    jobs.remove("job-1")
    assert recalled(recall, make_job("new")) is None


def test_a_failed_job_is_never_reused(jobs: JobStore, recall: ReportIndex) -> None:
    jobs.add(make_job())
    jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=15))
    problem = Problem(code="undecodable", message="x", retryable=False)
    jobs.change("job-1", lambda job: job.fail(1, problem, now=10.0))
    assert recalled(recall, make_job("new")) is None


def test_a_job_with_a_cached_report_has_no_due_work(jobs: JobStore) -> None:
    jobs.add(make_job().succeed_from_cache(make_report(), now=15.0))
    chores = jobs.due_work(now=20.0, limit=10)
    assert (chores.queued_due, chores.lease_expired, chores.audio_to_delete) == ((), (), ())
    assert jobs.due_work(now=115.0, limit=10).expired == ("job-1",)
    assert jobs.backlog("interactive").waiting == 0
