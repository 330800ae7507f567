"""The same song again."""

import time
from typing import Any

import pytest

from api.config import JobLimits
from shared.domain.api_key import Scope
from shared.domain.history import counters_of_change
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import ANALYSIS_VERSION, Report
from shared.errors import Unavailable
from shared.observability.job_metrics import metrics_of_change
from shared.schemas.webhook_event import job_event
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.factories import make_report

SONG = b"fLaC" + bytes(range(256)) * 40
LARGE = b"fLaC" + bytes(11 * 1024 * 1024)
HOOK = "https://hooks.example/done"


def send(api: ApiHarness, body: bytes = SONG, *, token: str | None = None, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return api.client.post("/v1/jobs", content=body, headers=headers | more.pop("headers", {}), **more)


def analyse(api: ApiHarness, answer: Any, **changes: Any) -> Report:
    """What a worker does with an accepted job."""
    job_id = answer.json()["id"]
    report = make_report(**{"analysis_version": ANALYSIS_VERSION} | changes)
    now = time.time()
    api.jobs.change(job_id, lambda job: job.start(worker="w", now=now, lease_seconds=15))
    api.jobs.change(job_id, lambda job: job.succeed(1, report, now=now).mark_audio_deleted())
    api.audio.delete(job_id)
    return report


@pytest.mark.parametrize("body", [SONG, LARGE], ids=["small", "in parts"])
def test_the_same_bytes_get_the_earlier_report_and_are_not_stored(api: ApiHarness, body: bytes) -> None:
    first = send(api, body)
    report = analyse(api, first)
    api.queue.messages.clear()
    again = send(api, body, params={"filename": "another name.flac"})
    assert again.status_code == 202
    job = again.json()
    assert (job["state"], job["cached"], job["attempts"]) == ("succeeded", True, 0)
    assert job["id"] != first.json()["id"]
    assert job["input"]["filename"] == "another name.flac"
    assert job["report"]["a4_hz"] == report.tuning.a4_hz
    assert again.headers["retry-after"] == "0"
    assert (api.audio.objects, api.audio.uploads, api.queue.messages) == ({}, {}, {})
    read = api.client.get(again.headers["location"]).json()
    assert (read["cached"], read["started_at"]) == (True, None)
    assert [(line["state"], line["why"]) for line in read["timeline"]] == [
        ("succeeded", "report of an earlier analysis of the same bytes")
    ]
    assert read["expires_at"] is not None
    assert api.client.get(first.headers["location"]).json()["cached"] is False


def test_a_queued_job_has_no_report_to_reuse(api: ApiHarness) -> None:
    send(api)
    assert send(api).json()["state"] == "queued"


def test_another_window_is_analyzed_also_if_its_form_field_comes_after_the_file(api: ApiHarness) -> None:
    analyse(api, send(api))
    form: Any = [("file", ("a.flac", SONG, "audio/flac")), ("start_seconds", (None, "30"))]
    assert api.client.post("/v1/jobs", files=form).json()["state"] == "queued"
    assert api.client.post("/v1/jobs", files=form[:1]).json()["cached"] is True


def test_api_keys_never_share_a_report(api: ApiHarness) -> None:
    mine, other = (api.token(Scope.JOBS_READ, Scope.JOBS_WRITE) for _ in range(2))
    analyse(api, send(api, token=mine))
    assert send(api, token=other).json()["cached"] is False
    assert send(api).json()["cached"] is False
    assert send(api, token=mine).json()["cached"] is True


def test_anonymous_callers_learn_nothing_about_each_other(api: ApiHarness) -> None:
    first = send(api, params={"filename": "secret name.flac"})
    analyse(api, first)
    again = send(api)
    assert again.json()["cached"] is True
    assert first.json()["id"] not in again.text
    assert "secret name" not in again.text


def test_the_report_of_a_deleted_job_is_not_reused(api: ApiHarness) -> None:
    first = send(api)
    analyse(api, first)
    assert api.client.delete(first.headers["location"]).status_code == 204
    assert send(api).json()["state"] == "queued"


def test_the_report_of_another_analysis_version_is_not_reused(api: ApiHarness) -> None:
    analyse(api, send(api), analysis_version="before")
    assert send(api).json()["state"] == "queued"


def test_the_report_cache_can_be_turned_off() -> None:
    with (api := ApiHarness(reuse_reports=False)).client:
        analyse(api, send(api))
        assert send(api).json()["state"] == "queued"


def test_a_report_of_another_window_length_is_not_reused() -> None:
    limits = JobLimits(
        max_upload_bytes=MAX_BYTES,
        upload_idle_timeout_seconds=5,
        attempts=3,
        keep_seconds=60,
        window_seconds=30,
    )
    with (api := ApiHarness(job_limits=limits)).client:
        analyse(api, send(api))
        assert send(api).json()["state"] == "queued"


def test_an_upload_is_analyzed_while_the_report_index_is_unavailable() -> None:
    class UnavailableIndex:
        def find(self, key: str, *, now: float) -> Report | None:
            raise Unavailable("The job store does not answer; try again later.")

    with (api := ApiHarness(report_index=UnavailableIndex())).client:
        analyse(api, send(api))
        assert send(api).json()["state"] == "queued"


def test_a_cached_report_sends_a_webhook_like_any_success(api: ApiHarness) -> None:
    analyse(api, send(api))
    for name in ("query", "form"):
        if name == "query":
            answer = send(api, params={"callback_url": HOOK})
        else:
            file = ("file", ("a.flac", SONG, "audio/flac"))
            answer = api.client.post("/v1/jobs", files=[file, ("callback_url", (None, HOOK))])
        old, new = api.jobs.changes[-1]
        event = job_event(old, new)
        assert event is not None
        assert (event.type, event.job_id) == ("job.succeeded", answer.json()["id"])
        assert event.callback is not None
        assert event.callback.secret == answer.json()["callback_secret"]
        assert '"cached":true' in event.body


def test_an_invalid_callback_is_refused_also_with_a_cached_report(api: ApiHarness) -> None:
    analyse(api, send(api))
    file: Any = ("file", ("a.flac", SONG, "audio/flac"))
    bad: Any = ("callback_url", (None, "https://127.0.0.1/"))
    for form in ([file, bad], [bad, file]):
        assert api.client.post("/v1/jobs", files=form).status_code == 400
    assert len(api.jobs.jobs) == 1
    assert api.audio.objects == {}


def test_a_repeated_request_with_a_cached_report_is_the_same_job(api: ApiHarness) -> None:
    analyse(api, send(api))
    answers = [send(api, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len(api.jobs.jobs) == 2


def test_metrics_count_a_cached_report_but_no_analysis(api: ApiHarness) -> None:
    analyse(api, send(api))
    send(api)
    job: Job
    old, job = api.jobs.changes[-1]
    assert (old, job.state) == (None, JobState.SUCCEEDED)
    names = {name.partition("|le=")[0] for name in metrics_of_change(None, job)}
    assert names == {
        "kammerton_jobs_accepted",
        "kammerton_jobs_cached",
        "kammerton_jobs_finished|succeeded|none",
        "kammerton_uploaded_bytes",
        "kammerton_verdicts|432",
        "kammerton_job_total_seconds",
        "kammerton_job_total_seconds|sum",
    }
    counters = [counter for _, counter in counters_of_change(None, job)]
    assert counters == ["count:accepted", "count:cached", "count:succeeded", "verdict:432"]
