"""A worker while Redis has no memory left: it takes messages again as soon as there is some."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.celery_queue import INTERACTIVE, CeleryJobQueue, connect_celery
from shared.redis.client import connect_redis
from tests.support.servers import running_valkey

PATIENCE_SECONDS = 120.0
PREFIX = "kammerton:"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def valkey_url() -> Iterator[str]:
    with running_valkey() as server:
        yield server.url


def test_a_worker_survives_a_full_redis(valkey_url: str, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    env = os.environ | {
        "KAMMERTON_REDIS_URL": valkey_url,
        "KAMMERTON_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    command = [sys.executable, "-m", "worker", "run", "--concurrency", "1"]
    queue = CeleryJobQueue(
        connect_celery(valkey_url, prefix=PREFIX), connect_redis(valkey_url), prefix=PREFIX
    )
    with (
        connect_redis(valkey_url) as client,
        log.open("w") as output,
        subprocess.Popen(command, env=env, stdout=output, stderr=output) as worker,
    ):
        try:
            until(lambda: "ready." in log.read_text())
            worker.send_signal(signal.SIGSTOP)
            queue.enqueue(uuid.uuid4().hex, queue=INTERACTIVE)
            client.config_set("maxmemory", "1")
            worker.send_signal(signal.SIGCONT)
            until(lambda: "OutOfMemoryError" in log.read_text() or worker.poll() is not None)
            client.config_set("maxmemory", "0")
            queue.enqueue(uuid.uuid4().hex, queue=INTERACTIVE)
            until(lambda: log.read_text().count("job_message_ignored") > 0 or worker.poll() is not None)
            assert worker.poll() is None, log.read_text()[-3000:]
        finally:
            worker.terminate()
