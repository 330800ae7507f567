"""Machines whose clocks differ by minutes, or step, under libfaketime."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis

from shared.domain.job_state import JobState
from shared.redis.client import connect_redis
from shared.redis.jobs.store import RedisJobStore
from tests.support.clock_process import LEASE_SECONDS
from tests.support.factories import make_job
from tests.support.servers import ValkeyServer

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not LIBRARY.exists() and shutil.which("faketime") is None, reason="libfaketime is not installed"
)


@dataclass
class ShiftedProcess:
    process: "subprocess.Popen[str]"
    offset: Path

    def shift(self, seconds: int) -> None:
        """Set its clock while it runs."""
        self.offset.write_text(f"{seconds:+d}s")

    def run(self, command: str) -> float:
        """Run a command; return the process's local time after it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Machines:
    def __init__(self, client: "redis.Redis", url: str, folder: Path) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}:"
        self.jobs = RedisJobStore(client, prefix=self.prefix)
        self._url, self._folder = url, folder

    @contextmanager
    def shifted(self, seconds: int) -> Iterator[ShiftedProcess]:
        offset = self._folder / uuid.uuid4().hex
        offset.write_text(f"{seconds:+d}s")
        env = os.environ | {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "REDIS_URL": self._url,
            "PREFIX": self.prefix,
        }
        command = [sys.executable, "-m", "tests.support.clock_process"]
        with subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            yield ShiftedProcess(process, offset)
            assert process.stdin is not None
            process.stdin.close()

    def add(self, job_id: str) -> None:
        now = time.time()
        self.jobs.add(make_job(job_id, created_at=now, queued_at=now, due_at=now))

    def check_lease(self, job_id: str, *, written_after: float) -> None:
        """The lease of a job written since then is right by this machine's clock."""
        lease = self.jobs.get(job_id).lease
        assert lease is not None
        assert written_after - 1 <= lease.until - LEASE_SECONDS <= time.time() + 1


@pytest.fixture
def machines(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Machines]:
    with connect_redis(valkey.url) as client:
        yield Machines(client, valkey.url, tmp_path)


@pytest.mark.parametrize("seconds", [-300, -20, 20, 300])
def test_a_lease_lasts_as_long_on_a_machine_with_another_time(machines: Machines, seconds: int) -> None:
    machines.add("job-1")
    with machines.shifted(seconds) as worker:
        before = time.time()
        local = worker.run("start job-1")
        assert before + seconds - 1 <= local <= time.time() + seconds + 1, "its clock is shifted"
        machines.check_lease("job-1", written_after=before)


@pytest.mark.parametrize("seconds", [-300, 150, 300])
def test_a_rescuer_with_another_time_takes_no_live_job_and_every_dead_one(
    machines: Machines, seconds: int
) -> None:
    machines.add("alive")
    machines.add("dead")
    with machines.shifted(0) as worker, machines.shifted(seconds) as rescuer:
        worker.run("start alive")
        hour_ago = time.time() - 3600
        machines.jobs.change("dead", lambda job: replace(job, due_at=hour_ago))
        machines.jobs.change(
            "dead", lambda job: job.start(worker="w", now=hour_ago, lease_seconds=LEASE_SECONDS)
        )
        rescuer.run("rescue")
    assert machines.jobs.get("alive").state is JobState.RUNNING
    assert machines.jobs.get("dead").state is JobState.QUEUED


def test_a_clock_that_steps_while_the_worker_runs_changes_nothing(machines: Machines) -> None:
    machines.add("job-1")
    with machines.shifted(0) as worker, machines.shifted(0) as rescuer:
        worker.run("start job-1")
        for seconds in (300, -300, 20):
            worker.shift(seconds)
            rescuer.shift(-seconds)
            before = time.time()
            worker.run("renew job-1")
            machines.check_lease("job-1", written_after=before)
            rescuer.run("rescue")
    assert machines.jobs.get("job-1").attempts == 1
