"""The life of one job as Server-Sent Events."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from api.jobs import events
from shared.domain.job import Job
from shared.domain.job_state import JobState
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryJobStore


@dataclass(frozen=True)
class Told:
    name: str
    data: dict[str, object]
    id: str | None


def told(client: TestClient, job_id: str, last_event_id: str | None = None) -> list[Told]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        return list(parsed(answer.iter_lines()))


def parsed(lines: Iterator[str]) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in lines:
        if line == "":
            if "event" in fields:
                yield Told(fields["event"], json.loads(fields["data"]), fields.get("id"))
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


def test_a_watched_job_tells_each_change_and_then_its_report(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    thread = later(api.jobs, start, succeed)
    heard = told(api.client, "job-1")
    thread.join()
    assert [(event.name, event.data.get("state")) for event in heard] == [
        ("state", "queued"),
        ("state", "running"),
        ("state", "succeeded"),
        ("job", "succeeded"),
    ]
    assert (heard[0].data["stage"], heard[0].data["queue_position"]) == ("waiting", 0)
    assert heard[1].data["stage"] == "listening"
    assert heard[-1].data["report"]["a4_hz"] == 432.04  # type: ignore[index]  # JSON


def test_a_lost_connection_is_taken_up_after_the_last_event_seen(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    whole = told(api.client, "job-1")
    rest = told(api.client, "job-1", whole[0].id)
    assert rest == whole[1:]


def test_an_event_id_that_is_not_ours_replays_everything(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    assert told(api.client, "job-1", "nonsense") == told(api.client, "job-1")


def test_who_has_heard_the_end_is_told_not_to_come_back(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    api.jobs.change("job-1", succeed)
    end = told(api.client, "job-1")[-1].id
    again = api.client.get("/v1/jobs/job-1/events", headers={"Last-Event-ID": str(end)})
    assert again.status_code == 204


def test_a_queued_job_hears_that_it_moves_up(api: ApiHarness) -> None:
    api.jobs.add(make_job("first", queued_at=0.5))
    api.jobs.add(make_job())

    def play() -> None:
        time.sleep(0.1)
        api.jobs.change("first", start)
        time.sleep(1.5)
        api.jobs.change("job-1", lambda job: job.cancel(now=time.time()))

    thread = threading.Thread(target=play)
    thread.start()
    heard = told(api.client, "job-1")
    thread.join()
    positions = [event.data["queue_position"] for event in heard if event.name in {"state", "progress"}]
    assert positions == [1, 0, None]


def test_a_request_to_cancel_is_told_before_the_worker_heeds_it(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    thread = later(
        api.jobs,
        lambda job: job.cancel(now=time.time()),
        lambda job: job.confirm_cancel(1, now=time.time()),
    )
    heard = told(api.client, "job-1")
    thread.join()
    assert [event.data.get("stage") for event in heard if event.name == "progress"] == ["canceling"]


def test_a_deleted_job_ends_its_stream(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    thread = later(api.jobs, None)
    heard = told(api.client, "job-1")
    thread.join()
    assert [event.name for event in heard] == ["state", "removed"]


def test_silence_is_broken_by_heartbeats(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    api.jobs.add(make_job())
    api.jobs.change("job-1", start)
    thread = later(api.jobs, None, pause_seconds=0.5)
    answer = api.client.get("/v1/jobs/job-1/events")
    thread.join()
    assert answer.text.count(": still here") >= 2


def test_there_is_nothing_to_watch_where_there_is_no_job(api: ApiHarness) -> None:
    answer = api.client.get("/v1/jobs/none/events")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
