import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from api.access.authentication import subject_of
from api.access.upload_quota import UploadQuota, UploadSlot
from api.config import RateLimits
from shared.domain.api_key import Scope
from shared.domain.job_state import JobState
from shared.errors import LimitReached, Unavailable
from shared.ports.jobs import StoreMemory
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job
from tests.support.fakes.jobs import MemoryJobStore, MemoryRateLimiter

SONG = b"RIFF" + bytes(996)
BOTH = (Scope.JOBS_READ, Scope.JOBS_WRITE)


@pytest.fixture
def limiter() -> MemoryRateLimiter:
    return MemoryRateLimiter()


def limited_api(limiter: MemoryRateLimiter, **limits: Any) -> ApiHarness:
    return ApiHarness(rate_limiter=limiter, rate_limits=RateLimits(**limits))


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def unavailable(*_: Any, **__: Any) -> Any:
    raise Unavailable("The counters are unavailable.")


def test_every_response_says_how_many_requests_remain(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, requests_per_minute=3)
    for left in (2, 1, 0):
        answer = api.client.get("/v1/jobs/x")
        assert answer.status_code == 404
        assert answer.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
        assert re.fullmatch(rf'"requests";r={left};t=[1-9]\d?', answer.headers["RateLimit"])
    answer = api.client.get("/v1/jobs/x")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit"].startswith('"requests";r=0;')
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"]


def test_keys_and_addresses_are_counted_separately(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, requests_per_minute=1)
    one, two = api.token(*BOTH), api.token(*BOTH)
    for headers in ({}, bearing(one), bearing(two)):
        assert api.client.get("/v1/jobs/x", headers=headers).status_code == 404
        assert api.client.get("/v1/jobs/x", headers=headers).status_code == 429


def test_guessing_keys_counts_against_the_address(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, requests_per_minute=3)
    guesses = [
        api.client.get("/v1/jobs/x", headers=bearing(f"kam_{number:012}_{'0' * 64}")) for number in range(5)
    ]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429, 429]


def test_health_checks_are_not_counted(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, requests_per_minute=1)
    assert [api.client.get("/healthz").status_code for _ in range(3)] == [200, 200, 200]
    assert limiter.had == {}


def test_requests_pass_and_uploads_fail_while_the_counters_are_unavailable(
    limiter: MemoryRateLimiter,
) -> None:
    limiter.consume = limiter.peek = limiter.acquire_slot = limiter.list_slots = unavailable  # type: ignore[method-assign]
    api = limited_api(limiter, requests_per_minute=1, max_concurrent_uploads=1, bytes_per_day=10**6)
    assert [api.client.get("/v1/jobs/x").status_code for _ in range(2)] == [404, 404]
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert api.audio.objects == {}


def test_an_upload_is_not_read_when_the_daily_bytes_are_used_up(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, bytes_per_day=2500)
    assert [api.client.post("/v1/jobs", content=SONG).status_code for _ in range(2)] == [202, 202]
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_bytes")
    assert "500 bytes left" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 3600
    assert len(api.audio.objects) == 2


def test_the_bytes_of_a_refused_file_count(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, bytes_per_day=10**6)
    api.audio.put = unavailable  # type: ignore[method-assign]
    assert api.client.post("/v1/jobs", content=SONG).status_code == 503
    api.jobs.add = unavailable  # type: ignore[method-assign]
    del api.audio.put
    assert api.client.post("/v1/jobs", content=SONG).status_code == 503
    assert sum(amount for had in limiter.had.values() for _, amount in had) == 2 * len(SONG)


def test_a_slot_is_released_however_the_upload_ends(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, max_concurrent_uploads=1)
    for content, expected in ((SONG, 202), (b"", 400), (bytes(13 * 1024 * 1024), 413), (SONG, 202)):
        assert api.client.post("/v1/jobs", content=content).status_code == expected
    assert all(not held for held in limiter.held.values())


def test_too_many_uploads_at_once_are_refused(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, max_concurrent_uploads=1)
    token = api.token(*BOTH)
    limiter.acquire_slot("uploads", f"key:{token.split('_')[1]}", "another", limit=1, ttl_seconds=60)
    answer = api.client.post("/v1/jobs", content=SONG, headers=bearing(token))
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (
        429,
        "too_many_uploads",
        "5",
    )
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202, "others may"


def test_the_queued_jobs_of_a_caller_are_limited(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, max_queued_jobs_per_caller=2)
    ids = [api.client.post("/v1/jobs", content=SONG).json()["id"] for _ in range(2)]
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")
    assert api.client.post("/v1/jobs", content=SONG, headers=bearing(api.token(*BOTH))).status_code == 202
    api.jobs.change(ids[1], lambda job: replace(job, state=JobState.RUNNING))
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202
    api.jobs.remove(ids[0])
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202


def test_a_full_queue_accepts_no_job(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, max_queued_jobs=2)
    api.jobs.add(make_job("a"))
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (
        503,
        "queue_full",
        "60",
    )
    assert "in a minute" in answer.json()["detail"]
    assert len(api.audio.objects) == 1


def test_an_almost_full_store_accepts_no_job(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, max_memory_share=0.85)
    api.jobs.used_memory = StoreMemory(used_bytes=84, limit_bytes=100)
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202
    api.jobs.used_memory = StoreMemory(used_bytes=85, limit_bytes=100)
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")


def test_a_long_upload_keeps_its_slot_and_is_charged_as_it_arrives(limiter: MemoryRateLimiter) -> None:
    limits = RateLimits(max_concurrent_uploads=1, bytes_per_day=10**9)
    admission = UploadQuota(limiter=limiter, jobs=MemoryJobStore(), limits=limits)
    slot = UploadSlot(admission, "a")

    async def send() -> int:
        slot.enter(0)
        size = 0
        for _ in range(5):
            await slot.count(10 * 1024 * 1024)
            size += 10 * 1024 * 1024
            for held in limiter.held.values():
                for place in held:
                    held[place] -= 30  # it is later
        charged = sum(amount for had in limiter.had.values() for _, amount in had)
        assert charged == 40 * 1024 * 1024
        with pytest.raises(LimitReached):
            admission.acquire_slot("a", "another")
        await slot.leave()
        return size

    assert asyncio.run(send()) == 50 * 1024 * 1024
    assert sum(amount for had in limiter.had.values() for _, amount in had) == 50 * 1024 * 1024


def test_an_upload_continues_if_the_counters_become_unavailable(limiter: MemoryRateLimiter) -> None:
    limits = RateLimits(max_concurrent_uploads=1, bytes_per_day=10**9)
    slot = UploadSlot(UploadQuota(limiter=limiter, jobs=MemoryJobStore(), limits=limits), "a")
    slot.enter(0)
    limiter.acquire_slot = limiter.charge = limiter.release_slot = unavailable  # type: ignore[method-assign]

    async def send() -> None:
        await slot.count(40 * 1024 * 1024)
        await slot.leave()

    asyncio.run(send())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("testclient", None, True),
    ],
)
def test_an_anonymous_caller_is_limited_by_address(one: str, other: str | None, same: bool) -> None:
    assert (subject_of(None, one) == subject_of(None, other)) is same
    assert one not in subject_of(None, one)


def test_a_presigned_upload_is_charged_when_it_is_created(limiter: MemoryRateLimiter) -> None:
    api = limited_api(limiter, bytes_per_day=2500, max_queued_jobs_per_caller=2)
    options = {"bytes": 1000, "media_type": "audio/wav", "filename": "a.wav"}
    assert [api.client.post("/v1/uploads", json=options).status_code for _ in range(2)] == [201, 201]
    answer = api.client.post("/v1/uploads", json=options)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")
    other = bearing(api.token(*BOTH))
    answer = api.client.post("/v1/uploads", json=options | {"bytes": 2501}, headers=other)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_bytes")
    assert api.client.post("/v1/uploads", json=options, headers=other).status_code == 201
