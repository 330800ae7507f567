"""The public pages, as they come from the server: without a script."""

import re
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState
from shared.domain.report import AudioTrack, Reason, TrackReason, Verdict
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report
from tests.support.html import unsafe_markup

HTML = {"Accept": "text/html,application/xhtml+xml"}
SUCCEEDED: dict[str, Any] = {
    "state": JobState.SUCCEEDED,
    "queued_at": None,
    "finished_at": 3.0,
    "expires_at": 100.0,
}


def test_the_form_works_without_a_script(api: ApiHarness) -> None:
    answer = api.client.post(
        "/v1/jobs",
        headers=HTML,
        files={"file": ("söng.mp3", b"ID3 not much", "audio/mpeg")},
        data={"start_seconds": ""},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    page = api.client.get(answer.headers["location"], headers=HTML)
    assert page.status_code == 200
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "söng.mp3" in page.text
    assert "Next in line." in page.text


def test_a_refused_form_is_answered_with_a_page(api: ApiHarness) -> None:
    answer = api.client.post("/v1/jobs", headers=HTML, files={"file": ("x.mp3", b"", "audio/mpeg")})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "The upload is empty" in answer.text


def test_a_program_gets_problem_json_instead_of_a_page(api: ApiHarness) -> None:
    answer = api.client.get("/v1/jobs/none")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_result_shows_its_pitch_and_confidence(api: ApiHarness) -> None:
    api.jobs.add(make_job(**SUCCEEDED, report=make_report()))
    page = api.client.get("/jobs/job-1", headers=HTML).text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "A4 = 432.0 Hz ± 0.1" in text
    assert "Tuned to A4 = 432.0 Hz" in text
    assert "31.6 cents below 440 Hz" in text
    assert "97" in text
    assert "Length3:35" in text
    assert "<dt>Track" not in page
    assert "http-equiv" not in page
    assert "curl http://testserver/v1/jobs/job-1" in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"report": make_report(verdict=Verdict.INCONCLUSIVE, reason=Reason.SILENT)},
            "The recording is silent",
        ),
        (
            {
                "state": JobState.FAILED,
                "problem": Problem(code="no_audio", message="There is no audio.", retryable=False),
            },
            "There is no audio. Check that the file plays",
        ),
        (
            {
                "state": JobState.DEAD,
                "problem": Problem(code="too_many_crashes", message="It crashed 3 times.", retryable=True),
            },
            "It crashed 3 times.",
        ),
        ({"state": JobState.CANCELED}, "Canceled"),
    ],
)
def test_a_job_without_an_answer_explains_why(api: ApiHarness, changes: dict[str, Any], text: str) -> None:
    api.jobs.add(make_job(**SUCCEEDED | changes))
    assert text in api.client.get("/jobs/job-1", headers=HTML).text


def test_a_result_of_several_tracks_names_the_one_that_was_analyzed(api: ApiHarness) -> None:
    report = make_report()
    track = AudioTrack(index=2, count=3, title="<b>Band</b>", reason=TrackReason.FIRST_AUDIBLE)
    api.jobs.add(make_job(**SUCCEEDED, report=replace(report, audio=replace(report.audio, track=track))))
    page = api.client.get("/jobs/job-1", headers=HTML).text
    assert "2 of 3, the first that isn’t silent: &lt;b&gt;Band&lt;/b&gt;" in page


def test_an_expired_result_explains_itself(api: ApiHarness) -> None:
    answer = api.client.get("/jobs/gone", headers=HTML)
    assert answer.status_code == 404
    assert "This result is gone" in answer.text


def test_a_filename_is_escaped(api: ApiHarness) -> None:
    evil = make_job().input.__class__(filename="<script>alert(1)</script>.mp3")
    api.jobs.add(make_job(input=evil))
    page = api.client.get("/jobs/job-1", headers=HTML).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.mp3" in page


@pytest.mark.parametrize("path", ["/", "/docs/pagination", "/jobs/job-1", "/jobs/none"])
def test_no_page_loads_or_runs_foreign_content(api: ApiHarness, path: str) -> None:
    api.jobs.add(make_job(**SUCCEEDED, report=make_report()))
    answer = api.client.get(path, headers=HTML)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert unsafe_markup(answer.text) == []


def test_static_files_with_a_hash_are_cached_forever(api: ApiHarness) -> None:
    found = re.search(r'href="(/static/kammerton\.css\?v=\w+)"', api.client.get("/").text)
    assert found is not None
    assert "immutable" in api.client.get(found[1]).headers["cache-control"]
    assert api.client.get("/static/kammerton.css").headers["cache-control"] == "no-cache"
    assert api.client.get("/static/../app.py").status_code == 404
