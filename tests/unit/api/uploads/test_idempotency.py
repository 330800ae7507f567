import time
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_key import Scope
from shared.errors import Unavailable
from tests.unit.api.conftest import World

SONG = b"fLaC" + bytes(range(256)) * 40


def send(world: World, body: bytes = SONG, *, key: str = "k-1", form: bool = False, **more: Any) -> Any:
    headers = {"Idempotency-Key": key, **more.pop("headers", {})}
    if form:
        files = {"file": ("a.flac", body, "audio/flac")}
        return world.client.post("/v1/jobs", files=files, headers=headers, **more)
    return world.client.post("/v1/jobs", content=body, headers=headers, **more)


@pytest.mark.parametrize("form", [True, False])
def test_the_same_request_again_gets_the_same_answer_and_no_second_job(world: World, form: bool) -> None:
    first = send(world, form=form)
    again = send(world, form=form)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.jobs.jobs) == len(world.audio.objects) == 1
    assert world.queue.messages == {"interactive": [first.json()["id"]]}


OTHER: dict[str, dict[str, Any]] = {
    "other bytes": {"body": SONG + b"x"},
    "other query": {"params": {"filename": "b.flac"}},
    "other start": {"params": {"start_seconds": 3}},
    "other type": {"headers": {"Content-Type": "audio/wav"}},
    "a form": {"form": True},
}


@pytest.mark.parametrize("case", OTHER)
def test_another_request_under_the_same_key_is_refused(world: World, case: str) -> None:
    assert send(world).status_code == 202
    answer = send(world, **OTHER[case])
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(world.jobs.jobs) == len(world.audio.objects) == 1


def test_a_key_whose_request_is_at_work_is_in_conflict(world: World) -> None:
    put = world.audio.put
    inner: list[Any] = []

    def put_and_ask_again(*args: Any, **named: Any) -> None:
        world.audio.put = put  # type: ignore[method-assign]
        inner.append(send(world))
        put(*args, **named)

    world.audio.put = put_and_ask_again  # type: ignore[method-assign]
    assert send(world).status_code == 202
    assert (inner[0].status_code, inner[0].json()["code"]) == (409, "key_in_flight")
    assert len(world.jobs.jobs) == 1


def test_a_refused_request_gives_its_key_back(world: World) -> None:
    assert send(world, b"%PDF").status_code == 415
    assert send(world).status_code == 202


def test_a_request_that_failed_on_our_side_gives_its_key_back(world: World) -> None:
    put = world.audio.put

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("The audio storage does not answer; try again later.")

    world.audio.put = away  # type: ignore[method-assign]
    assert send(world).status_code == 503
    world.audio.put = put  # type: ignore[method-assign]
    assert send(world).status_code == 202


def test_without_the_store_of_keys_nothing_is_created_under_a_key(world: World) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("The store does not answer; try again later.")

    world.claims.claim = away  # type: ignore[method-assign,assignment]
    assert send(world).status_code == 503
    assert not world.jobs.jobs
    assert world.client.post("/v1/jobs", content=SONG).status_code == 202


def killed_after_recording(world: World) -> Any:
    """The first request's process dies between recording the job and keeping the answer."""
    first = send(world)
    (key, claim), *_ = world.claims.claims.items()
    world.claims.claims[key] = replace(
        claim, response=None, body_fingerprint=None, locked_until=time.time() - 1
    )
    return first


def test_a_job_recorded_by_a_killed_process_is_found_again(world: World) -> None:
    first = killed_after_recording(world)
    again = send(world)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert len(world.jobs.jobs) == len(world.audio.objects) == 1
    assert send(world).headers["idempotent-replayed"] == "true"


def test_another_upload_after_a_killed_process_is_still_another(world: World) -> None:
    killed_after_recording(world)
    assert send(world, SONG + b"x").status_code == 422


def test_an_upload_that_a_killed_process_never_recorded_is_taken_under_its_first_id(world: World) -> None:
    first = killed_after_recording(world)
    world.jobs.jobs.clear()
    again = send(world)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert set(world.jobs.jobs) == set(world.audio.objects)


def test_keys_are_each_callers_own(world: World) -> None:
    tokens = [world.token(Scope.JOBS_WRITE), world.token(Scope.JOBS_WRITE)]
    ids = {send(world, headers={"Authorization": f"Bearer {token}"}).json()["id"] for token in tokens}
    ids.add(send(world).json()["id"])
    assert len(ids) == 3


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    answer = send(world, key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")
