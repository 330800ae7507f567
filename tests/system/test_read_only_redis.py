"""Redis that responds but refuses writes: full, a replica, or short of replicas."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import psutil
import pytest

from shared.redis.client import connect_redis
from shared.redis.heartbeats import RedisWorkerRegistry
from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, ValkeyServer, running_valkey

PREFIX = "w:"
SONG = b"RIFF" + bytes(100)


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[ValkeyServer]:
    """A server whose settings a test may change."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def api(own_valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    with running_api(own_valkey, s3, KAMMERTON_METRICS_PUBLIC="true") as api:
        yield api


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 90
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


BREAK: dict[str, list[tuple[str, ...]]] = {
    "full": [("CONFIG", "SET", "maxmemory", "1")],
    "replica": [("REPLICAOF", "127.0.0.1", "1")],
    "short of replicas": [("CONFIG", "SET", "min-replicas-to-write", "1")],
}
RESTORE = [
    ("CONFIG", "SET", "maxmemory", "0"),
    ("REPLICAOF", "NO", "ONE"),
    ("CONFIG", "SET", "min-replicas-to-write", "0"),
]


@pytest.mark.parametrize("state", BREAK)
def test_readyz_and_metrics_tell_it(own_valkey: ValkeyServer, api: Api, state: str) -> None:
    def redis_up() -> str:
        text = httpx2.get(f"{api.url}/metrics").text
        return next(line for line in text.splitlines() if line.startswith("kammerton_redis_up"))

    with connect_redis(own_valkey.url) as client:
        assert httpx2.get(f"{api.url}/readyz").json()["jobs"] is True
        assert redis_up() == "kammerton_redis_up 1.0"
        for command in BREAK[state]:
            client.execute_command(*command)
        try:
            answer = httpx2.get(f"{api.url}/readyz")
            assert (answer.status_code, answer.json()["jobs"]) == (503, False)
            assert redis_up() == "kammerton_redis_up 0.0"
        finally:
            for command in RESTORE:
                client.execute_command(*command)
        assert eventually(lambda: httpx2.get(f"{api.url}/readyz").status_code == 200)


def test_no_job_is_accepted_before_redis_is_full(own_valkey: ValkeyServer, api: Api) -> None:
    def submit() -> tuple[int, str | None]:
        answer = httpx2.post(f"{api.url}/v1/jobs", content=SONG, timeout=60)
        return answer.status_code, answer.json().get("code")

    with connect_redis(own_valkey.url) as client:
        assert submit() == (202, None)
        used: Any = client.info("memory")
        client.config_set("maxmemory", str(int(used["used_memory"]) * 100 // 90))
        try:
            assert eventually(lambda: submit() == (503, "queue_full"))
            client.set("x", "Redis itself still takes a write")
        finally:
            client.config_set("maxmemory", "0")
            client.delete("x")
        assert eventually(lambda: submit() == (202, None))


def test_a_worker_waits_and_says_why(own_valkey: ValkeyServer, api: Api) -> None:
    env = psutil.Process(api.server.pid).environ() | {"KAMMERTON_REDIS_PREFIX": PREFIX}
    command = [sys.executable, "-m", "worker", "run", "--concurrency", "1"]
    with (
        connect_redis(own_valkey.url) as client,
        subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as worker,
    ):
        assert worker.stdout is not None
        deadline = threading.Timer(180, worker.kill)
        deadline.start()
        workers = RedisWorkerRegistry(client, prefix=PREFIX)
        try:
            assert eventually(lambda: len(workers.list_alive()) == 1)
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            line = ""
            while "read only replica" not in line:  # at the latest when it takes the next message
                line = worker.stdout.readline()
                assert line, "the worker has ended"
            client.execute_command("REPLICAOF", "NO", "ONE")
            began = time.time()
            assert eventually(lambda: any(each.seen_at > began for each in workers.list_alive()))
            assert worker.poll() is None
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
            deadline.cancel()
            worker.kill()
