"""POST /v1/jobs with `wait` or Prefer: the finished job in one call, or 202 as without it."""

import time
from typing import Any

import pytest

from api.config import RateLimits
from shared.domain.job import Job
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_report
from tests.support.fakes.jobs import MemoryRateLimiter

SONG = b"fLaC" + bytes(range(256)) * 40
HOOK = "https://hooks.example/done"


def finish(job: Job) -> Job:
    """What a worker does."""
    now = time.time()
    return job.start(worker="w", now=now, lease_seconds=15).succeed(1, make_report(), now=now)


def finish_at_once(api: ApiHarness) -> None:
    """Let every job be final as soon as it is enqueued."""
    enqueue = api.queue.enqueue

    def enqueue_and_finish(job_id: str, *, queue: str) -> None:
        enqueue(job_id, queue=queue)
        api.jobs.change(job_id, finish)

    api.queue.enqueue = enqueue_and_finish  # type: ignore[method-assign]


def send(api: ApiHarness, *, prefer: str | None = None, **params: Any) -> Any:
    headers = {"Prefer": prefer} if prefer is not None else {}
    return api.client.post("/v1/jobs", content=SONG, headers=headers, params=params)


@pytest.mark.parametrize("way", [{"wait": 20}, {"prefer": "wait=20"}, {"prefer": 'foo, Wait="20"; x=1'}])
def test_a_request_that_waits_gets_the_finished_job(api: ApiHarness, way: dict[str, Any]) -> None:
    finish_at_once(api)
    response = send(api, **way)
    assert response.status_code == 200
    job = response.json()
    assert (job["state"], job["report"]["verdict"]) == ("succeeded", "432")
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert "retry-after" not in response.headers
    assert response.headers.get("preference-applied") == ("wait=20" if "prefer" in way else None)


def test_a_job_that_does_not_finish_in_time_is_accepted(api: ApiHarness) -> None:
    response = send(api, wait=0.05)
    assert (response.status_code, response.json()["state"]) == (202, "queued")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("respond-async", "respond-async"),
        ("respond-async, wait=0", "respond-async, wait=0"),
        ("wait=soon", None),
        ("wait=-1", None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_other_preferences_do_not_wait(api: ApiHarness, prefer: str, applied: str | None) -> None:
    finish_at_once(api)
    response = send(api, prefer=prefer)
    assert response.status_code == (200 if applied and "wait" in applied else 202)
    assert response.headers.get("preference-applied") in (applied, "wait=0")


def test_a_long_preferred_wait_is_cut_to_the_limit(api: ApiHarness) -> None:
    finish_at_once(api)
    response = send(api, prefer="wait=99999999999999999999")
    assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=30")


@pytest.mark.parametrize("wait", ["31", "-1", "x", "nan"])
def test_a_wait_out_of_bounds_is_refused_before_the_body_is_read(api: ApiHarness, wait: str) -> None:
    assert send(api, wait=wait).status_code == 422
    assert not api.jobs.jobs


def test_a_source_url_and_an_upload_can_wait(api: ApiHarness) -> None:
    finish_at_once(api)
    source = {"source_url": "https://files.example/a.flac"}
    assert api.client.post("/v1/jobs?wait=5", json=source).status_code == 200
    presigned = api.client.post("/v1/uploads", json={"bytes": len(SONG)}).json()
    api.direct.put(presigned["requests"][0]["url"], SONG)
    body = {"upload_id": presigned["upload_id"]}
    assert api.client.post("/v1/jobs", json=body, headers={"Prefer": "wait=5"}).status_code == 200


def test_a_finished_response_still_has_the_secret_of_the_callback(api: ApiHarness) -> None:
    finish_at_once(api)
    assert send(api, wait=5, callback_url=HOOK).json()["callback_secret"].startswith("whsec_")


def test_a_repeated_request_with_a_key_waits_too(api: ApiHarness) -> None:
    headers = {"Idempotency-Key": "k", "Prefer": "wait=1"}
    first = api.client.post("/v1/jobs", content=SONG, headers=headers)
    assert first.status_code == 202
    api.jobs.change(first.json()["id"], finish)
    again = api.client.post("/v1/jobs", content=SONG, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"


def test_a_waiting_request_does_not_hold_an_upload_slot() -> None:
    limiter = MemoryRateLimiter()
    api = ApiHarness(rate_limiter=limiter, rate_limits=RateLimits(max_concurrent_uploads=1))
    get, held = api.jobs.get, list[int]()

    def get_and_look(job_id: str) -> Job:
        held.append(sum(len(slots) for (name, _), slots in limiter.held.items() if name == "uploads"))
        return get(job_id)

    api.jobs.get = get_and_look  # type: ignore[method-assign]
    with api.client:
        assert send(api, wait=0.05).status_code == 202
    assert held[-1] == 0


def test_charts_can_be_left_out(api: ApiHarness) -> None:
    finish_at_once(api)
    response = send(api, wait=5, pictures=False)
    read = api.client.get(response.headers["location"], params={"pictures": False})
    for job in (response.json(), read.json()):
        assert (job["report"]["histogram"], job["report"]["spectrum"]) == ([], None)
    whole = api.client.get(response.headers["location"])
    assert len(whole.json()["report"]["histogram"]) == 100
    assert whole.headers["etag"] != read.headers["etag"]


def test_numbers_are_rounded_to_their_precision(api: ApiHarness) -> None:
    def finish_precisely(job: Job) -> Job:
        report = make_report(
            a4_hz=432.0412345,
            uncertainty_cents=0.61234,
            deviation_440_cents=-31.66666,
            drift_cents=(0.12345, None),
        )
        now = time.time()
        return job.start(worker="w", now=now, lease_seconds=15).succeed(1, report, now=now)

    location = send(api).headers["location"]
    api.jobs.change(location.rpartition("/")[2], finish_precisely)
    report = api.client.get(location).json()["report"]
    assert (report["a4_hz"], report["uncertainty_cents"]) == (432.041, 0.61)
    assert (report["deviation_440_cents"], report["drift_cents"]) == (-31.67, [0.12, None])
