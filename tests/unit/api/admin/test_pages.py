"""The pages of jobs, and what all pages have in common."""

import re

import pytest

from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from tests.support.api_harness import VIEWER_PASSWORD, ApiHarness
from tests.support.dashboard import PAGES, log_in, make_dead_job
from tests.support.factories import make_job, make_report
from tests.support.html import unsafe_markup


def test_a_dead_job_shows_its_timeline(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = log_in(api, VIEWER_PASSWORD)
    assert "job-1" in client.get("/admin/dead").text
    page = client.get("/admin/jobs/job-1").text
    assert "It crashed 3 times." in page
    assert "signal 11 &lt;in&gt; ffmpeg" in page
    assert "host:7" in page
    assert "attempt 3" in page


def test_a_finished_job_shows_its_report_and_charts(api: ApiHarness) -> None:
    api.jobs.add(make_job(state=JobState.SUCCEEDED, queued_at=None, report=make_report()))
    page = log_in(api, VIEWER_PASSWORD).get("/admin/jobs/job-1").text
    assert "432.04 Hz" in page
    assert page.count('role="img"') == 3


def test_jobs_are_searched_and_filtered(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1", input=AudioInput(filename="Midnight.mp3")))
    api.jobs.add(make_job("job-2", input=AudioInput(filename="Midday.mp3")))
    client = log_in(api, VIEWER_PASSWORD)

    def shown(query: str) -> set[str]:
        return set(re.findall(r'href="/admin/jobs/(job-\d)"', client.get(f"/admin/jobs?{query}").text))

    assert shown("") == {"job-1", "job-2"}
    assert shown("q=mid") == {"job-1", "job-2"}
    assert shown("q=mid&state=dead") == {"job-1"}
    assert shown("state=queued") == {"job-2"}
    assert shown("reason=too_many_crashes") == {"job-1"}
    assert shown("worker=host:7") == {"job-1"}
    assert shown("since=hour") == set()


@pytest.mark.parametrize("path", ["/admin/login", *PAGES, "/admin/jobs/job-1"])
def test_no_page_loads_or_runs_foreign_content(api: ApiHarness, path: str) -> None:
    api.jobs.add(make_dead_job("job-1", input=AudioInput(filename="<img src=x onerror=alert(1)>.mp3")))
    answer = log_in(api).get(path)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "<img" not in answer.text
    assert unsafe_markup(answer.text) == []
