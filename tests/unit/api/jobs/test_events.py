"""Jobs as Server-Sent Events: one job, or several over one connection."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.access.authentication import subject_of
from api.jobs import event_stream
from shared.domain.api_key import Scope, key_id_of
from shared.domain.job import Job
from shared.domain.job_state import JobState
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryJobStore


@dataclass(frozen=True)
class SentEvent:
    name: str
    data: dict[str, object]
    id: str | None


def watch(client: TestClient, job_id: str, last_event_id: str | None = None) -> list[SentEvent]:
    return read_stream(client, f"/v1/jobs/{job_id}/events", last_event_id)


def watch_all(client: TestClient, *job_ids: str, last_event_id: str | None = None) -> list[SentEvent]:
    query = "&".join(f"job={job_id}" for job_id in job_ids)
    return read_stream(client, f"/v1/events?{query}", last_event_id)


def read_stream(client: TestClient, path: str, last_event_id: str | None) -> list[SentEvent]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        return list(parse_events(answer.iter_lines()))


def parse_events(lines: Iterator[str]) -> Iterator[SentEvent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line == "":
            if "event" in fields:
                yield SentEvent(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def start(job: Job) -> Job:
    return job.start(worker="w", now=time.time(), lease_seconds=10)


def succeed(job: Job) -> Job:
    return job.succeed(job.attempts, make_report(), now=time.time())


def later(jobs: MemoryJobStore, *steps: object, pause_seconds: float = 0.0) -> threading.Thread:
    """Each step once the stream has seen the one before; of a queued job it also looks at the position.

    None removes the job.
    """
    looks: Counter[int] = Counter()
    seen = threading.Condition()
    get, position = jobs.get, jobs.queue_position

    def count(job: Job) -> None:
        with seen:
            looks[job.version] += 1
            seen.notify()

    def watched_get(job_id: str) -> Job:
        job = get(job_id)
        if job.state is not JobState.QUEUED:
            count(job)
        return job

    def watched_position(job: Job) -> int | None:
        found = position(job)
        count(job)
        return found

    def play() -> None:
        for number, step in enumerate(steps):
            job = get("job-1")
            # the route itself looks at a job that is not queued, before the stream does
            more = 1 if number == 0 and job.state is not JobState.QUEUED else 0
            with seen:
                seen.wait_for(lambda: looks[job.version] > more, timeout=30)  # noqa: B023 - waits at once
            time.sleep(pause_seconds)
            if step is None:
                jobs.remove("job-1")
            else:
                jobs.change("job-1", step)  # type: ignore[arg-type]  # any pure step

    jobs.get, jobs.queue_position = watched_get, watched_position  # type: ignore[method-assign]
    thread = threading.Thread(target=play)
    thread.start()
    return thread


def test_a_stream_has_each_change_of_state_and_then_the_whole_job(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    thread = later(api.jobs, start, succeed)
    received = watch(api.client, "job-1")
    thread.join()
    assert [(event.name, event.data.get("state")) for event in received] == [
        ("state", "queued"),
        ("state", "running"),
        ("state", "succeeded"),
        ("job", "succeeded"),
    ]
    assert (received[0].data["stage"], received[0].data["queue_position"]) == ("waiting", 0)
    assert received[1].data["stage"] == "listening"
    assert received[-1].data["report"]["a4_hz"] == 432.04  # type: ignore[index]  # JSON


def test_last_event_id_resumes_after_the_last_event_received(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    whole = watch(api.client, "job-1")
    rest = watch(api.client, "job-1", whole[0].id)
    assert rest == whole[1:]


def test_an_unknown_last_event_id_replays_everything(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    assert watch(api.client, "job-1", "nonsense") == watch(api.client, "job-1")


def test_a_client_that_has_every_event_gets_204(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    end = watch(api.client, "job-1")[-1].id
    again = api.client.get("/v1/jobs/job-1/events", headers={"Last-Event-ID": str(end)})
    assert again.status_code == 204


def test_a_queued_job_reports_its_new_position(api: ApiHarness) -> None:
    api.jobs.add(make_job("first", queued_at=0.5))
    api.jobs.add(make_job())

    read = {0: threading.Event(), 1: threading.Event()}
    queue_position = api.jobs.queue_position

    def watched_position(job: Job) -> int | None:
        position = queue_position(job)
        if position is not None:
            read[position].set()
        return position

    def play() -> None:
        read[1].wait(30)
        api.jobs.change("first", start)
        read[0].wait(30)
        api.jobs.change("job-1", lambda job: job.cancel(now=time.time()))

    api.jobs.queue_position = watched_position  # type: ignore[method-assign]
    thread = threading.Thread(target=play)
    thread.start()
    received = watch(api.client, "job-1")
    thread.join()
    positions = [event.data["queue_position"] for event in received if event.name in {"state", "progress"}]
    assert positions == [1, 0, None]


def test_a_cancel_request_shows_before_the_worker_confirms_it(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    thread = later(
        api.jobs,
        lambda job: job.cancel(now=time.time()),
        lambda job: job.confirm_cancel(1, now=time.time()),
    )
    received = watch(api.client, "job-1")
    thread.join()
    assert [event.data.get("stage") for event in received if event.name == "progress"] == ["canceling"]


def test_a_deleted_job_ends_its_stream(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    thread = later(api.jobs, None)
    received = watch(api.client, "job-1")
    thread.join()
    assert [event.name for event in received] == ["state", "removed"]


def test_an_idle_stream_sends_heartbeats(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.1)
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    thread = later(api.jobs, None, pause_seconds=0.5)
    answer = api.client.get("/v1/jobs/job-1/events")
    thread.join()
    assert answer.text.count(": still here") >= 2


def test_watching_an_unknown_job_is_404(api: ApiHarness) -> None:
    answer = api.client.get("/v1/jobs/none/events")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def finished(api: ApiHarness, job_id: str) -> None:
    api.jobs.add(make_job(job_id))
    api.jobs.change(job_id, start)
    api.jobs.change(job_id, succeed)


def test_one_stream_watches_several_jobs(api: ApiHarness) -> None:
    finished(api, "job-0")
    api.jobs.add(make_job())
    thread = later(api.jobs, start, succeed)
    received = watch_all(api.client, "job-0", "job-1", "unknown", "job-1")
    thread.join()
    assert [(event.name, event.data["id"], event.data.get("state")) for event in received] == [
        ("state", "job-0", "succeeded"),
        ("job", "job-0", "succeeded"),
        ("state", "job-1", "queued"),
        ("removed", "unknown", None),
        ("state", "job-1", "running"),
        ("state", "job-1", "succeeded"),
        ("job", "job-1", "succeeded"),
    ]


def test_a_stream_of_several_jobs_resumes_without_those_that_were_done(api: ApiHarness) -> None:
    finished(api, "job-0")
    finished(api, "job-1")
    received = watch_all(api.client, "job-0", "job-1")
    end_of_first = next(event.id for event in received if event.name == "job")
    resumed = watch_all(api.client, "job-0", "job-1", last_event_id=end_of_first)
    assert {event.data["id"] for event in resumed} == {"job-1"}
    headers = {"Last-Event-ID": str(received[-1].id)}
    assert api.client.get("/v1/events?job=job-0&job=job-1", headers=headers).status_code == 204


@pytest.mark.parametrize("event_id", ["nonsense", "-1", "1" * 200, "0.5.x"])
def test_a_strange_last_event_id_does_no_harm(api: ApiHarness, event_id: str) -> None:
    finished(api, "job-0")
    answer = api.client.get("/v1/events?job=job-0", headers={"Last-Event-ID": event_id})
    assert answer.status_code in {200, 204}


def test_jobs_of_others_look_like_deleted_ones(private_api: ApiHarness) -> None:
    finished(private_api, "job-1")
    token = private_api.token(Scope.JOBS_READ)
    private_api.client.headers["Authorization"] = f"Bearer {token}"
    received = watch_all(private_api.client, "job-1", "unknown")
    assert [(event.name, event.data) for event in received] == [
        ("removed", {"id": "job-1"}),
        ("removed", {"id": "unknown"}),
    ]


@pytest.mark.parametrize("count", [0, 101])
def test_a_stream_takes_1_to_100_jobs(api: ApiHarness, count: int) -> None:
    query = "&".join(f"job=job-{number}" for number in range(count))
    assert api.client.get(f"/v1/events?{query}").status_code == 422


def test_one_caller_cannot_use_the_streams_of_all(private_api: ApiHarness) -> None:
    finished(private_api, "job-1")
    mine, theirs = (private_api.token(Scope.ADMIN_READ, Scope.JOBS_READ) for _ in range(2))
    updates = private_api.client.app.state.services.updates  # type: ignore[attr-defined]

    def watch_job(token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return private_api.client.get("/v1/jobs/job-1/events", headers=headers)

    with updates.subscribe(*(f"job-{number}" for number in range(300)), subscriber=f"key:{key_id_of(mine)}"):
        refused = watch_job(mine)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert int(refused.headers["retry-after"]) > 0
        assert watch_job(theirs).status_code == 200
    assert watch_job(mine).status_code == 200


def test_an_address_without_a_key_has_a_limit_of_its_own(api: ApiHarness) -> None:
    finished(api, "job-1")
    updates = api.client.app.state.services.updates  # type: ignore[attr-defined]
    here, there = (TestClient(api.client.app, client=(f"192.0.2.{last}", 1)) for last in (1, 2))
    with updates.subscribe(
        *(f"job-{number}" for number in range(300)), subscriber=subject_of(None, "192.0.2.1")
    ):
        assert here.get("/v1/jobs/job-1/events").status_code == 429
        assert there.get("/v1/jobs/job-1/events").status_code == 200
