"""Several API processes on one port."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import psutil
import pytest

from shared.domain.job import Job
from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, ValkeyServer

WAV = b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(1000)


@pytest.fixture(scope="module")
def api(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    with running_api(valkey, s3, KAMMERTON_API_PROCESSES="2") as api:
        yield api


def post(api: Api, **headers: str) -> httpx2.Response:
    with httpx2.Client() as client:  # a new connection each time, so that any process may get it
        return client.post(
            f"{api.url}/v1/jobs", content=WAV, headers={"Content-Type": "audio/wav", **headers}
        )


def test_two_processes_serve(api: Api) -> None:
    children = psutil.Process(api.server.pid).children(recursive=True)
    assert len([child for child in children if "spawn_main" in " ".join(child.cmdline())]) == 2


def test_an_idempotency_key_makes_one_job_in_all_processes(api: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(api, **{"Idempotency-Key": "one"}), range(16)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1


def test_events_reach_every_process(api: Api) -> None:
    job_id = post(api).json()["id"]
    ready, received = threading.Barrier(9), []

    def watch() -> None:
        with (
            httpx2.Client(timeout=30) as client,
            client.stream("GET", f"{api.url}/v1/events?job={job_id}") as answer,
        ):
            lines = answer.iter_lines()
            next(line for line in lines if line == "event: state")
            ready.wait(30)
            received.append(next(json.loads(line[6:]) for line in lines if '"canceled"' in line))

    threads = [threading.Thread(target=watch) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(30)

    def cancel(job: Job) -> Job:
        return replace(job.cancel(now=job.created_at + 1))

    api.jobs.change(job_id, cancel)
    for thread in threads:
        thread.join(30)
    assert len(received) == 8


def test_a_tus_upload_continues_in_any_process(api: Api) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    created = httpx2.post(f"{api.url}/v1/tus", headers=tus | {"Upload-Length": str(len(WAV))})
    url = f"{api.url}{created.headers['location']}"
    for start in range(0, len(WAV), 100):
        part = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        answer = httpx2.patch(url, content=WAV[start : start + 100], headers=tus | part)
        assert answer.status_code == 204, answer.text
    job_id = created.headers["location"].rpartition("/")[2]
    assert api.jobs.get(job_id).input.size_bytes == len(WAV)
    assert api.audio.open(job_id).read() == WAV


def test_requests_are_counted_in_all_processes_together(valkey: ValkeyServer, s3: S3Server) -> None:
    limits = {"KAMMERTON_RATE_LIMITS_ENABLED": "true", "KAMMERTON_REQUESTS_PER_MINUTE": "10"}
    with running_api(valkey, s3, KAMMERTON_API_PROCESSES="2", **limits) as api:
        statuses = [httpx2.get(f"{api.url}/v1/jobs/none").status_code for _ in range(30)]
    assert statuses.count(404) == 10
    assert statuses.count(429) == 20
