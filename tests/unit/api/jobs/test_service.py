import pytest
from fastapi import Request

from api.access.authentication import Caller, current_caller
from shared.domain.api_key import Scope
from shared.domain.job import AudioInput, Problem
from shared.domain.job_state import JobState
from tests.support.factories import a_job, a_report
from tests.unit.api.conftest import World

RETRYABLE = Problem(code="too_many_crashes", message="It crashed.", retryable=True)


def known_as(world: World, key_id: str, *scopes: Scope) -> None:
    async def caller(request: Request) -> Caller:
        return Caller(key_id=key_id, scopes=frozenset(scopes or (Scope.JOBS_READ, Scope.JOBS_WRITE)))

    world.client.app.dependency_overrides[current_caller] = caller  # type: ignore[attr-defined]


def add(world: World, job_id: str = "job-1", **changes: object) -> None:
    world.jobs.add(a_job(job_id, **changes))
    world.audio.objects[job_id] = (b"x", 1.0)


def test_a_queued_job_is_canceled_at_once_and_its_audio_goes(world: World) -> None:
    add(world)
    answer = world.client.post("/v1/jobs/job-1/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert world.audio.objects == {}
    assert not world.jobs.get("job-1").has_audio


def test_a_running_job_is_asked_to_stop(world: World) -> None:
    add(world)
    world.jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
    assert world.client.post("/v1/jobs/job-1/cancel").json()["state"] == "running"
    assert world.jobs.get("job-1").cancel_requested


def test_a_finished_job_cannot_be_canceled(world: World) -> None:
    add(world)
    world.jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
    world.jobs.change("job-1", lambda job: job.succeed(1, a_report(), now=2.0))
    answer = world.client.post("/v1/jobs/job-1/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_dead_job_is_retried_while_its_audio_is_there(world: World) -> None:
    add(world, state=JobState.DEAD, attempts=3, problem=RETRYABLE)
    answer = world.client.post("/v1/jobs/job-1/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert world.queue.messages == {"interactive": ["job-1"]}
    add(world, "gone", state=JobState.DEAD, attempts=3, problem=RETRYABLE, has_audio=False)
    answer = world.client.post("/v1/jobs/gone/retry")
    assert answer.status_code == 409
    assert "upload the file again" in answer.json()["detail"]


def test_a_deleted_job_and_its_audio_are_gone(world: World) -> None:
    add(world)
    assert world.client.delete("/v1/jobs/job-1").status_code == 204
    assert (world.jobs.jobs, world.audio.objects) == ({}, {})
    assert world.client.get("/v1/jobs/job-1").status_code == 404
    assert world.client.delete("/v1/jobs/job-1").status_code == 404


def test_nobody_lists_the_jobs_of_the_anonymous(world: World) -> None:
    add(world)
    answer = world.client.get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_lists_its_own_jobs_page_by_page(world: World) -> None:
    for number in range(5):
        add(world, f"job-{number}", owner="key-1", created_at=float(number))
    add(world, "other", owner="key-2")
    known_as(world, "key-1")
    first = world.client.get("/v1/jobs", params={"limit": 3}).json()
    second = world.client.get("/v1/jobs", params={"limit": 3, "cursor": first["cursor"]}).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == [f"job-{n}" for n in (4, 3, 2, 1, 0)]
    assert second["cursor"] is None


def test_lists_are_narrowed(world: World) -> None:
    add(world, "a", owner="key-1", created_at=10.0, input=AudioInput(filename="Étude.wav"))
    add(world, "b", owner="key-1", created_at=20.0, state=JobState.DEAD, problem=RETRYABLE)
    known_as(world, "key-1")

    def ids(**query: object) -> list[str]:
        return [job["id"] for job in world.client.get("/v1/jobs", params=query).json()["jobs"]]  # type: ignore[arg-type]

    assert ids(state="dead") == ["b"]
    assert ids(state=["dead", "queued"]) == ["b", "a"]
    assert ids(name="étude") == ["a"]
    assert ids(created_after="1970-01-01T00:00:15Z") == ["b"]
    assert ids(created_before="1970-01-01T01:00:15+01:00") == ["a"]


@pytest.mark.parametrize("query", [{"state": "lost"}, {"limit": 0}, {"limit": 201}, {"created_after": "x"}])
def test_a_wrong_filter_is_refused(world: World, query: dict[str, str]) -> None:
    known_as(world, "key-1")
    assert world.client.get("/v1/jobs", params=query).status_code == 422


def test_an_operator_lists_everything(world: World) -> None:
    add(world, "a", owner="key-1")
    add(world, "b")
    known_as(world, "operator", Scope.ADMIN_READ)
    assert {job["id"] for job in world.client.get("/v1/jobs").json()["jobs"]} == {"a", "b"}
