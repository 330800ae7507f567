"""Jobs by address: what the API takes, records, shows and keeps to itself. It never calls the address."""

from typing import Any

import pytest

from api.config import JobLimits, RateLimits
from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.captured_logs import capture_logs
from tests.unit.shared.outbound.test_address_rules import HOSTILE, OUTBOUND

SONG_URL = "https://files.example/album/t0psecret/song.flac?signature=t0psecret"
HOOK = "https://hooks.example/done"


def submit(api: ApiHarness, url: str = SONG_URL, *, params: dict[str, Any] | None = None, **more: Any) -> Any:
    headers = more.pop("headers", {})
    return api.client.post("/v1/jobs", json={"source_url": url, **more}, params=params or {}, headers=headers)


def only_job(api: ApiHarness) -> Any:
    (job,) = api.jobs.jobs.values()
    return job


def test_a_source_url_becomes_a_job_without_stored_audio(api: ApiHarness) -> None:
    answer = submit(api, filename="sub/söng.flac", start_seconds=3, queue="batch")
    assert answer.status_code == 202, answer.text
    job = only_job(api)
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    assert (job.state, job.has_audio, job.audio_available) == (JobState.QUEUED, False, True)
    assert (job.source.url, job.source.server) == (SONG_URL, "https://files.example")
    assert (job.input.filename, job.start_seconds, job.queue) == ("söng.flac", 3, "batch")
    assert api.queue.messages == {"batch": [job.id]}
    assert api.audio.objects == {}


def test_views_show_the_server_of_a_source_url_but_not_its_path_or_query(api: ApiHarness) -> None:
    with capture_logs() as logged:
        answer = submit(api)
        read = api.client.get(answer.headers["location"])
        page = api.client.get(f"/jobs/{only_job(api).id}", headers={"Accept": "text/html"})
    assert answer.json()["input"]["source"] == "https://files.example"
    assert read.json()["input"]["source"] == "https://files.example"
    for shown in (answer.text, read.text, page.text, logged.text, repr(only_job(api))):
        assert "t0psecret" not in shown
    assert logged.events("job_accepted")[0]["source"] == "https://files.example"


def test_one_key_does_not_see_the_source_urls_of_another(api: ApiHarness) -> None:
    mine, theirs = (
        {"Authorization": f"Bearer {api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)}"} for _ in range(2)
    )
    location = submit(api, headers=mine).headers["location"]
    assert api.client.get(location, headers=mine).status_code == 200
    assert api.client.get(location, headers=theirs).status_code == 404
    assert api.client.post(f"{location}/retry", headers=theirs).status_code == 404


def test_source_urls_have_the_same_address_rules_as_webhooks() -> None:
    api = ApiHarness(check_source_url=lambda url: str(OUTBOUND.check(url)))
    with api.client:
        for url in HOSTILE:
            answer = submit(api, url)
            # 422: longer than any address that is taken
            assert (answer.status_code, answer.json()["code"]) in [
                (400, "address_refused"),
                (422, "invalid_parameter"),
            ], url
            assert answer.headers["content-type"] == "application/problem+json"
        assert api.jobs.jobs == {}
        assert submit(api, "https://good.example/song.mp3").status_code == 202


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"source_url": None}, 400),
        ({"source_url": SONG_URL, "upload_id": "abc"}, 400),
        ({"source_url": 5}, 422),
        ({"source_url": SONG_URL, "start_seconds": -1}, 422),
        ({"source_url": SONG_URL, "queue": "vip"}, 422),
        ({"source_url": SONG_URL, "surprise": 1}, 422),
        ({"source_url": SONG_URL, "events": ["job.failed"]}, 400),
        ({"source_url": SONG_URL, "callback_url": "https://127.0.0.1/"}, 400),
        ({"source_url": "http://files.example/"}, 400),
        ({"source_url": "https://unknown.example/"}, 400),
        ({"source_url": ""}, 400),
    ],
)
def test_an_invalid_source_url_request_is_refused_and_records_nothing(
    api: ApiHarness, body: dict[str, Any], status: int
) -> None:
    answer = api.client.post("/v1/jobs", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "t0psecret" not in answer.text
    assert api.jobs.jobs == {}
    assert api.queue.messages == {}


def test_a_source_url_can_have_a_callback(api: ApiHarness) -> None:
    answer = submit(api, callback_url=HOOK, events=["job.failed"])
    callback = only_job(api).callback
    assert (callback.url, callback.events) == (HOOK, ("job.failed",))
    assert answer.json()["callback_secret"] == callback.secret is not None


def test_the_query_fills_in_options_that_the_body_leaves_out(api: ApiHarness) -> None:
    query = {"filename": "query.mp3", "queue": "batch", "start_seconds": 7, "callback_url": HOOK}
    assert submit(api, params=query, filename="body.mp3").status_code == 202
    job = only_job(api)
    assert (job.input.filename, job.queue, job.start_seconds) == ("body.mp3", "batch", 7)
    assert job.callback.url == HOOK


def test_a_repeated_source_url_is_one_job_and_a_different_one_is_refused(api: ApiHarness) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = submit(api, headers=key), submit(api, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert submit(api, SONG_URL + "x", headers=key).status_code == 422
    assert len(api.jobs.jobs) == 1


def test_a_source_url_counts_against_the_daily_bytes_and_the_queued_jobs() -> None:
    limits = JobLimits(
        max_upload_bytes=MAX_BYTES,
        upload_idle_timeout_seconds=5,
        attempts=3,
        keep_seconds=60,
        source_counts_as_bytes=1000,
    )
    api = ApiHarness(rate_limits=RateLimits(bytes_per_day=2500), job_limits=limits)
    with api.client:
        assert [submit(api).status_code for _ in range(3)] == [202, 202, 429]
    api = ApiHarness(rate_limits=RateLimits(max_queued_jobs_per_caller=2))
    with api.client:
        assert [submit(api).status_code for _ in range(3)] == [202, 202, 429]
        assert len(api.jobs.jobs) == 2


def test_a_canceled_job_forgets_its_source_url(api: ApiHarness) -> None:
    location = submit(api).headers["location"]
    assert api.client.post(f"{location}/cancel").json()["state"] == "canceled"
    assert only_job(api).source.url is None
    assert api.client.get(location).json()["input"]["source"] == "https://files.example"


def make_presigned_upload(api: ApiHarness, **options: Any) -> str:
    presigned = api.client.post(
        "/v1/uploads", json={"bytes": 8, "media_type": "audio/mpeg", **options}
    ).json()
    api.direct.put(presigned["requests"][0]["url"], b"ID3 song")
    return str(presigned["upload_id"])


def test_an_upload_can_be_submitted_again_with_the_same_options_only(api: ApiHarness) -> None:
    upload_id = make_presigned_upload(api, filename="before.mp3", start_seconds=1)
    wishes = {"filename": "after.mp3", "start_seconds": 2, "queue": "batch", "callback_url": HOOK}
    answer = api.client.post("/v1/jobs", json={"upload_id": upload_id, **wishes})
    assert answer.status_code == 202, answer.text
    job = only_job(api)
    assert (job.input.filename, job.start_seconds, job.queue) == ("after.mp3", 2, "batch")
    assert api.queue.messages == {"batch": [upload_id]}
    assert job.callback.url == HOOK
    assert answer.json()["callback_secret"] == job.callback.secret is not None
    again = api.client.post("/v1/jobs", json={"upload_id": upload_id, **wishes})
    assert (again.status_code, again.json()["callback_secret"]) == (202, None)
    other = api.client.post("/v1/jobs", json={"upload_id": upload_id, "start_seconds": 5})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert only_job(api) == job


def test_an_upload_keeps_the_options_that_its_submission_leaves_out(api: ApiHarness) -> None:
    upload_id = make_presigned_upload(
        api, filename="before.mp3", start_seconds=1, queue="batch", callback_url=HOOK
    )
    assert api.client.post("/v1/jobs", json={"upload_id": upload_id}).json()["callback_secret"] is None
    job = only_job(api)
    assert (job.input.filename, job.start_seconds, job.queue) == ("before.mp3", 1, "batch")
    assert job.callback.url == HOOK
