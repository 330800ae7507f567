import pytest
from fastapi import Request

from api.access.authentication import Caller, current_caller
from shared.domain.api_key import Scope
from shared.domain.job_fields import AudioInput, Callback, Problem
from shared.domain.job_state import JobState
from shared.domain.webhooks.events import JOB_EVENTS
from shared.errors import Unavailable
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report

RETRYABLE = Problem(code="too_many_crashes", message="It crashed.", retryable=True)


def known_as(api: ApiHarness, key_id: str, *scopes: Scope) -> None:
    async def caller(request: Request) -> Caller:
        return Caller(key_id=key_id, scopes=frozenset(scopes or (Scope.JOBS_READ, Scope.JOBS_WRITE)))

    api.client.app.dependency_overrides[current_caller] = caller  # type: ignore[attr-defined]


def add(api: ApiHarness, job_id: str = "job-1", **changes: object) -> None:
    api.jobs.add(make_job(job_id, **changes))
    api.audio.objects[job_id] = (b"x", 1.0)


def test_a_queued_job_is_canceled_at_once_and_its_audio_is_deleted(api: ApiHarness) -> None:
    add(api)
    answer = api.client.post("/v1/jobs/job-1/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert api.audio.objects == {}
    assert not api.jobs.get("job-1").has_audio


def test_canceling_a_running_job_requests_a_stop(api: ApiHarness) -> None:
    add(api)
    api.jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
    assert api.client.post("/v1/jobs/job-1/cancel").json()["state"] == "running"
    assert api.jobs.get("job-1").cancel_requested


def test_a_finished_job_cannot_be_canceled(api: ApiHarness) -> None:
    add(api)
    api.jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=9))
    api.jobs.change("job-1", lambda job: job.succeed(1, make_report(), now=2.0))
    answer = api.client.post("/v1/jobs/job-1/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_dead_job_can_be_retried_while_its_audio_exists(api: ApiHarness) -> None:
    add(api, state=JobState.DEAD, attempts=3, problem=RETRYABLE)
    answer = api.client.post("/v1/jobs/job-1/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert api.queue.messages == {"interactive": ["job-1"]}
    add(api, "gone", state=JobState.DEAD, attempts=3, problem=RETRYABLE, has_audio=False)
    answer = api.client.post("/v1/jobs/gone/retry")
    assert answer.status_code == 409
    assert "Upload the file again" in answer.json()["detail"]


def test_deleting_a_job_deletes_its_audio(api: ApiHarness) -> None:
    add(api)
    assert api.client.delete("/v1/jobs/job-1").status_code == 204
    assert (api.jobs.jobs, api.audio.objects) == ({}, {})
    assert api.client.get("/v1/jobs/job-1").status_code == 404
    assert api.client.delete("/v1/jobs/job-1").status_code == 404


def test_deleting_a_job_succeeds_once_while_storage_is_away(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str) -> None:
        raise Unavailable("The audio storage is unavailable.")

    add(api, callback=Callback(url="https://hooks.example/", events=tuple(JOB_EVENTS), secret=None))
    with monkeypatch.context() as outage:
        outage.setattr(api.audio, "delete", away)
        assert api.client.delete("/v1/jobs/job-1").status_code == 204
        assert api.client.get("/v1/jobs/job-1").status_code == 404
        assert api.client.delete("/v1/jobs/job-1").status_code == 404
        assert list(api.audio.objects) == ["job-1"]
    api.rescuer().run_once()
    assert api.audio.objects == {}
    assert not api.deliveries.pending_events(limit=9), "a deleted job has no more webhooks"


def test_anonymous_jobs_cannot_be_listed(api: ApiHarness) -> None:
    add(api)
    answer = api.client.get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_lists_its_own_jobs_page_by_page(api: ApiHarness) -> None:
    for number in range(5):
        add(api, f"job-{number}", owner="key-1", created_at=float(number))
    add(api, "other", owner="key-2")
    known_as(api, "key-1")
    first = api.client.get("/v1/jobs", params={"limit": 3}).json()
    second = api.client.get("/v1/jobs", params={"limit": 3, "cursor": first["cursor"]}).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == [f"job-{n}" for n in (4, 3, 2, 1, 0)]
    assert second["cursor"] is None


def test_lists_can_be_filtered(api: ApiHarness) -> None:
    add(api, "a", owner="key-1", created_at=10.0, input=AudioInput(filename="Étude.wav"))
    add(api, "b", owner="key-1", created_at=20.0, state=JobState.DEAD, problem=RETRYABLE)
    known_as(api, "key-1")

    def ids(**query: object) -> list[str]:
        return [job["id"] for job in api.client.get("/v1/jobs", params=query).json()["jobs"]]  # type: ignore[arg-type]

    assert ids(state="dead") == ["b"]
    assert ids(state=["dead", "queued"]) == ["b", "a"]
    assert ids(name="étude") == ["a"]
    assert ids(created_after="1970-01-01T00:00:15Z") == ["b"]
    assert ids(created_before="1970-01-01T01:00:15+01:00") == ["a"]


@pytest.mark.parametrize("query", [{"state": "lost"}, {"limit": 0}, {"limit": 201}, {"created_after": "x"}])
def test_a_wrong_filter_is_refused(api: ApiHarness, query: dict[str, str]) -> None:
    known_as(api, "key-1")
    assert api.client.get("/v1/jobs", params=query).status_code == 422


def test_an_operator_lists_all_jobs(api: ApiHarness) -> None:
    add(api, "a", owner="key-1")
    add(api, "b")
    known_as(api, "operator", Scope.ADMIN_READ)
    assert {job["id"] for job in api.client.get("/v1/jobs").json()["jobs"]} == {"a", "b"}
