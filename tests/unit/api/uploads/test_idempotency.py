import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.errors import Unavailable
from tests.support.api_harness import ApiHarness

SONG = b"fLaC" + bytes(range(256)) * 40


def send(api: ApiHarness, body: bytes = SONG, *, key: str = "k-1", form: bool = False, **more: Any) -> Any:
    headers = {"Idempotency-Key": key, **more.pop("headers", {})}
    if form:
        files = {"file": ("a.flac", body, "audio/flac")}
        return api.client.post("/v1/jobs", files=files, headers=headers, **more)
    return api.client.post("/v1/jobs", content=body, headers=headers, **more)


@pytest.mark.parametrize("form", [True, False])
def test_a_repeated_request_gets_the_same_response_and_creates_no_second_job(
    api: ApiHarness, form: bool
) -> None:
    first = send(api, form=form)
    again = send(api, form=form)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(api.jobs.jobs) == len(api.audio.objects) == 1
    assert api.queue.messages == {"interactive": [first.json()["id"]]}


OTHER: dict[str, dict[str, Any]] = {
    "other bytes": {"body": SONG + b"x"},
    "other query": {"params": {"filename": "b.flac"}},
    "other start": {"params": {"start_seconds": 3}},
    "other type": {"headers": {"Content-Type": "audio/wav"}},
    "a form": {"form": True},
}


@pytest.mark.parametrize("case", OTHER)
def test_a_different_request_with_the_same_key_is_refused(api: ApiHarness, case: str) -> None:
    assert send(api).status_code == 202
    answer = send(api, **OTHER[case])
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(api.jobs.jobs) == len(api.audio.objects) == 1


def test_a_key_whose_request_is_still_running_is_a_conflict(api: ApiHarness) -> None:
    put = api.audio.put
    inner: list[Any] = []

    def put_and_ask_again(*args: Any, **named: Any) -> None:
        api.audio.put = put  # type: ignore[method-assign]
        inner.append(send(api))
        put(*args, **named)

    api.audio.put = put_and_ask_again  # type: ignore[method-assign]
    assert send(api).status_code == 202
    assert (inner[0].status_code, inner[0].json()["code"]) == (409, "key_in_flight")
    assert len(api.jobs.jobs) == 1


def test_a_refused_request_releases_its_key(api: ApiHarness) -> None:
    assert send(api, b"%PDF").status_code == 415
    assert send(api).status_code == 202


def test_a_request_that_failed_with_a_server_error_releases_its_key(api: ApiHarness) -> None:
    put = api.audio.put

    def unavailable(*_: Any, **__: Any) -> None:
        raise Unavailable("The audio storage does not answer; try again later.")

    api.audio.put = unavailable  # type: ignore[method-assign]
    assert send(api).status_code == 503
    api.audio.put = put  # type: ignore[method-assign]
    assert send(api).status_code == 202


def test_nothing_is_created_with_a_key_while_the_idempotency_store_is_unavailable(api: ApiHarness) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise Unavailable("The store does not answer; try again later.")

    api.claims.claim = unavailable  # type: ignore[method-assign,assignment]
    assert send(api).status_code == 503
    assert not api.jobs.jobs
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202


def killed_after_recording(api: ApiHarness) -> Any:
    """The first request's process dies between recording the job and keeping the answer."""
    first = send(api)
    (key, claim), *_ = api.claims.claims.items()
    api.claims.claims[key] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    return first


def test_a_job_recorded_by_a_killed_process_is_returned(api: ApiHarness) -> None:
    first = killed_after_recording(api)
    again = send(api)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert len(api.jobs.jobs) == len(api.audio.objects) == 1
    assert send(api).headers["idempotent-replayed"] == "true"


def test_a_different_upload_after_a_killed_process_is_refused(api: ApiHarness) -> None:
    killed_after_recording(api)
    assert send(api, SONG + b"x").status_code == 422


def test_an_upload_that_a_killed_process_did_not_record_keeps_its_id(api: ApiHarness) -> None:
    first = killed_after_recording(api)
    api.jobs.jobs.clear()
    again = send(api)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert set(api.jobs.jobs) == set(api.audio.objects)


def test_idempotency_keys_belong_to_one_caller(api: ApiHarness) -> None:
    tokens = [api.token(Scope.JOBS_WRITE), api.token(Scope.JOBS_WRITE)]
    ids = {send(api, headers={"Authorization": f"Bearer {token}"}).json()["id"] for token in tokens}
    ids.add(send(api).json()["id"])
    assert len(ids) == 3


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_malformed_idempotency_key_is_refused(api: ApiHarness, key: str) -> None:
    answer = send(api, key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")


def test_two_keys_are_refused(api: ApiHarness) -> None:
    headers = [("Idempotency-Key", "k-1"), ("Idempotency-Key", "k-2")]
    response = api.client.post("/v1/jobs", content=SONG, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "bad_idempotency_key")
    assert api.jobs.jobs == {}
