"""A Redis that has become a replica, whose primary is gone: it answers everything with MASTERDOWN."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import redis

from shared.redis.client import connect_redis
from tests.support.api_process import Api, running_api
from tests.support.audio_files import audio_file
from tests.support.servers import S3Server, ValkeyServer, running_valkey
from tests.support.system import stop

PATIENCE_SECONDS = 180


def test_api_and_worker_wait_for_the_primary_and_go_on(s3: S3Server, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with (
        running_valkey(tmp_path / "ours") as ours,
        running_valkey(tmp_path / "other") as other,
        running_api(ours, s3) as api,
        running_worker(api, log) as worker,
        httpx2.Client(base_url=api.url, timeout=PATIENCE_SECONDS) as client,
        connect_redis(ours.url) as server,
    ):
        job = submit(client)
        until(lambda: state(client, job) == "succeeded")
        swap_roles(ours, other)
        other.server.stop()
        until(lambda: answers_masterdown(server))
        began = log.stat().st_size
        for refused in (
            client.post("/v1/jobs", content=audio_file("wav", seconds=2.0)),
            client.get(job),
            client.get("/readyz"),
        ):
            assert refused.status_code == 503, refused.text
        until(lambda: "Link with MASTER is down" in log.read_text()[began:], log)
        server.replicaof("NO", "ONE")
        until(lambda: client.get("/readyz").status_code == 200)
        assert state(client, job) == "succeeded"
        later = submit(client)
        until(lambda: state(client, later) == "succeeded")
        assert worker.poll() is None, log.read_text()[-3000:]


@contextmanager
def running_worker(api: Api, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "worker", "run", "--concurrency", "1"]
    env = psutil.Process(api.server.pid).environ()
    with log.open("w") as output, subprocess.Popen(command, env=env, stdout=output, stderr=output) as worker:
        try:
            until(lambda: "ready." in log.read_text())
            yield worker
        finally:
            stop(worker, patience_seconds=PATIENCE_SECONDS)


def swap_roles(ours: ValkeyServer, other: ValkeyServer) -> None:
    """Make *ours* a replica of *other* that refuses to answer without it. Both keep the data."""
    replicate(other, primary=ours)
    with redis.Redis.from_url(other.url) as client:
        client.replicaof("NO", "ONE")
    with redis.Redis.from_url(ours.url) as client:
        client.config_set("replica-serve-stale-data", "no")
    replicate(ours, primary=other)


def replicate(replica: ValkeyServer, *, primary: ValkeyServer) -> None:
    url = httpx2.URL(primary.url)
    with redis.Redis.from_url(replica.url) as client:
        client.config_set("masterauth", url.password)
        client.replicaof(url.host, str(url.port))
        until(lambda: is_linked(client))


def is_linked(client: "redis.Redis") -> bool:
    found: Any = client.info("replication")
    return bool(found["master_link_status"] == "up")


def answers_masterdown(client: "redis.Redis") -> bool:
    try:
        client.get("x")
    except redis.exceptions.MasterDownError:
        return True
    return False


def submit(client: httpx2.Client) -> str:
    answer = client.post("/v1/jobs", content=audio_file("wav", seconds=2.0))
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def state(client: httpx2.Client, job: str) -> str:
    answer = client.get(job)
    return str(answer.json().get("state", answer.json().get("code")))


def until(true: Callable[[], bool], log: Path | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, log and log.read_text()[-3000:]
        time.sleep(0.1)
