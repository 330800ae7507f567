"""A worker and a rescuer in real processes, over a real store and storage, without the API."""

import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import psutil

from local.lifeline import Lifeline
from local.processes import Command
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.services import Services, connect
from shared.settings import read_settings
from tests.support.factories import make_job
from tests.support.fault_injection import QUICK
from tests.support.servers import S3Server, Server, ValkeyServer

PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class RunningWorker:
    server: Server
    services: Services

    def submit(self, kind: str, audio: bytes, *, attempts_allowed: int = 3) -> str:
        """Store, record and enqueue one file. Returns the ID of its job."""
        job_id = uuid.uuid4().hex
        now = time.time()
        described = AudioInput(
            filename=kind, media_type="application/octet-stream", size_bytes=len(audio), sha256="0" * 64
        )
        self.services.audio.put(job_id, audio, media_type="application/octet-stream")
        self.services.jobs.add(
            make_job(
                job_id,
                input=described,
                created_at=now,
                queued_at=now,
                due_at=now,
                attempts_allowed=attempts_allowed,
                keep_seconds=86_400.0,
                has_audio=True,
            )
        )
        self.services.queue.enqueue(job_id, queue="interactive")
        return job_id

    def finished(self, job_id: str) -> Job:
        """Wait until it is final."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (job := self.services.jobs.get(job_id)).state.is_final:
            assert time.monotonic() < deadline, f"{job} does not end: {self.server.lines[-20:]}"
            time.sleep(0.1)
        return job

    def until_logged(self, event: str, *, count: int = 1) -> None:
        """Wait until the worker has logged an event so often."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum(event in line for line in list(self.server.lines)) < count:
            assert time.monotonic() < deadline, f"no {event}: {self.server.lines[-20:]}"
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """The worker, its pool, its watchdog, and its fork server with all children."""
        main = psutil.Process(self.server.pid)
        return [main, *main.children(recursive=True)]


def burnt_attempts(jobs: Iterable[Job], *, attempts_allowed: int = 3) -> int:
    """How many attempts were lost: neither given back nor the one that ended the job."""
    return sum(job.attempts - (job.attempts_allowed - attempts_allowed) - 1 for job in jobs)


@contextmanager
def running_worker(
    valkey: ValkeyServer,
    s3: S3Server,
    *,
    within: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[RunningWorker]:
    """Two children, as in docker-compose.yml. *within*: a command that the worker is started through."""
    name = f"t{uuid.uuid4().hex[:8]}"
    env = QUICK | {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "KAMMERTON_LEASE_SECONDS": "15",
        "KAMMERTON_JOB_TIMEOUT_SECONDS": "40",
        "KAMMERTON_REDIS_URL": valkey.url,
        "KAMMERTON_REDIS_PREFIX": f"{name}:",
        "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
        "KAMMERTON_S3_BUCKET": name,
        "KAMMERTON_S3_REGION": s3.region,
    }
    env |= settings or {}
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("KAMMERTON_", "AWS_"))}
    python = [sys.executable, "-m"]
    commands = (
        Command("worker", [*within, *python, "worker", "run", "--concurrency", "2"], clean | env),
        Command("rescuer", [*python, "worker", "maintenance"], clean | env),
    )
    with mock.patch.dict(os.environ, env):
        services = connect(read_settings())
        services.prepare()
    lifeline = Lifeline()
    worker, rescuer = (Server(command, answers=lambda: True, lifeline=lifeline) for command in commands)
    try:
        for server in (worker, rescuer):
            server.start()
        yield RunningWorker(worker, services)
    finally:
        for server in (worker, rescuer):
            server.kill()
        lifeline.close()
