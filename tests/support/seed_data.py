"""A past for the dashboard: jobs of the last hours, written as the service would have written them."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil

from shared.domain.batch import Batch, BatchItem
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState, StateTransition
from shared.domain.report import Verdict
from shared.domain.webhooks.delivery import Attempt, Delivery, DeliveryState
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import EventType
from shared.redis.batches.records import BatchRecords
from shared.redis.batches.store import RedisBatchStore
from shared.redis.client import connect_redis
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.store import RedisJobStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from tests.support.factories import make_report
from tests.support.system import System

PREFIX = "kammerton:"
MIB = 1024 * 1024
NAMES = (
    "Midnight at the Pier.mp3", "Gymnopédie No. 1.flac", "rehearsal 2026-11-20 take 3.wav", "Nocturne.m4a",
    "Blue in Green (live).mp3", "choir, evening service.wav", "Kaffeehaus.ogg", "demo_final_FINAL2.mp3",
    "Spiegel im Spiegel.flac", "voice memo 41.m4a", "Summer Rain.opus", "quartet op. 59.aiff",
)  # fmt: skip
NO_AUDIO = Problem(code="no_audio", message="There is no audio in the file.", retryable=False)
UNDECODABLE = Problem(code="undecodable", message="No decoder finds audio in this file.", retryable=False)


@contextmanager
def job_store(system: System) -> Iterator[RedisJobStore]:
    """The job store of a running system."""
    env = psutil.Process(system.pid_of("worker background")).environ()
    client = connect_redis(env["KAMMERTON_REDIS_URL"])
    yield RedisJobStore(client, prefix=PREFIX, followers=[JobMetricsFollower(prefix=PREFIX)])
    client.close()


def dead_job(job_id: str, *, at: float, filename: str) -> Job:
    """A job that ended its worker three times."""
    why = "signal 11 (SIGSEGV) while libavcodec read the file"
    lines = [StateTransition(at=at, state=JobState.QUEUED, attempt=0)]
    for attempt in (1, 2, 3):
        began = at + 7.0 * attempt
        lines.append(
            StateTransition(at=began, state=JobState.RUNNING, attempt=attempt, worker="worker-2:311")
        )
        state = JobState.DEAD if attempt == 3 else JobState.QUEUED
        lines.append(
            StateTransition(at=began + 1.4, state=state, attempt=attempt, worker="worker-2:311", why=why)
        )
    return Job(
        id=job_id,
        state=JobState.DEAD,
        queue="interactive",
        created_at=at,
        attempts=3,
        attempts_allowed=3,
        keep_seconds=86_400,
        finished_at=lines[-1].at,
        expires_at=at + 86_400,
        input=AudioInput(filename=filename, media_type="audio/mp4", size_bytes=9_412_330, sha256="9f" * 32),
        problem=Problem(
            code="too_many_crashes",
            message="The analysis of this file crashed 3 times; it was given up.",
            retryable=True,
        ),
        timeline=tuple(lines),
    )


def seed_an_hour_of_jobs(jobs: RedisJobStore, *, count: int = 260) -> None:
    """Jobs of the last hour, most of them well, written through all their states."""
    chance = random.Random(7)
    now = time.time()
    for number in range(count):
        at = now - 3590 + 3500 * (number + chance.random()) / count
        waited, ran = chance.lognormvariate(-1.2, 1.0), chance.lognormvariate(-0.4, 0.5)
        job = Job(
            id=f"seed{number:04}{chance.randbytes(7).hex()}",
            state=JobState.QUEUED,
            queue="interactive",
            created_at=at,
            queued_at=at,
            due_at=at + 9e9,  # the real rescuer and workers leave it alone
            attempts_allowed=3,
            keep_seconds=86_400,
            has_audio=False,
            input=AudioInput(
                filename=chance.choice(NAMES),
                media_type="audio/mpeg",
                size_bytes=chance.randrange(2, 60) * 1_000_000,
                sha256=chance.randbytes(32).hex(),
            ),
            timeline=(StateTransition(at=at, state=JobState.QUEUED, attempt=0),),
        )
        jobs.add(job)
        began, worker = at + waited, f"worker-{1 + number % 2}:{311 - number % 2}"
        jobs.change(job.id, lambda job, at=at: _due(job, at))  # type: ignore[misc]  # bound in the loop
        jobs.change(job.id, lambda job, w=worker, t=began: job.start(worker=w, now=t, lease_seconds=9e6))  # type: ignore[misc]
        ended, memory = began + ran, int(chance.lognormvariate(0, 0.25) * 70 * MIB)
        what = chance.random()
        if what < 0.05:
            problem = NO_AUDIO if what < 0.03 else UNDECODABLE
            jobs.change(job.id, lambda job, t=ended, p=problem: job.fail(1, p, now=t))  # type: ignore[misc]
        else:
            verdict = chance.choice(
                [Verdict.A440] * 6 + [Verdict.A432] * 2 + [Verdict.OTHER, Verdict.INCONCLUSIVE]
            )
            report = make_report(verdict=verdict)
            jobs.change(
                job.id,
                lambda job, r=report, t=ended, m=memory: job.succeed(1, r, now=t, memory_peak_bytes=m),  # type: ignore[misc]
            )


def seed_batch(system: System, batch_id: str) -> None:
    """A batch of three jobs: one succeeded, and two wait for their next attempt."""
    env = psutil.Process(system.pid_of("worker background")).environ()
    client = connect_redis(env["KAMMERTON_REDIS_URL"])
    records = BatchRecords(client, prefix=PREFIX)
    jobs = RedisJobStore(client, prefix=PREFIX, companions=[records.change_for_job])
    batches = RedisBatchStore(client, jobs=jobs.records, batches=records)
    now = time.time()
    names = ("01 Prelude.flac", "02 Allemande.flac", "03 Courante.flac")
    crashed = StateTransition(
        at=now, state=JobState.QUEUED, attempt=1, worker="worker-2:311", why="signal 9 (SIGKILL)"
    )
    members = [
        Job(
            id=f"{batch_id}-{number}",
            batch_id=batch_id,
            state=JobState.QUEUED,
            queue="batch",
            created_at=now,
            queued_at=now,
            due_at=now + 3600 * (1 + number),
            attempts=1,
            attempts_allowed=3,
            keep_seconds=86_400,
            input=AudioInput(filename=name, media_type="audio/flac", size_bytes=28_000_000),
            timeline=(crashed,),
        )
        for number, name in enumerate(names)
    ]
    items = tuple(BatchItem(job_id=job.id, filename=job.input.filename) for job in members)
    batch = Batch(id=batch_id, created_at=now, items=items, keep_seconds=86_400, name="Cello suites")
    batches.create(batch, [(None, job) for job in members])
    first = members[0].id
    jobs.change(first, lambda job: _due(job, now))
    jobs.change(first, lambda job: job.start(worker="worker-1:310", now=now, lease_seconds=9e6))
    jobs.change(first, lambda job: job.succeed(2, make_report(), now=now + 2.1))
    client.close()


def seed_failed_webhook(system: System, job_id: str, endpoint_id: str | None = None) -> None:
    """One delivery that its receiver never took, and its endpoint, if that has an id."""
    env = psutil.Process(system.pid_of("worker background")).environ()
    client = connect_redis(env["KAMMERTON_REDIS_URL"])
    now = time.time()
    attempts = tuple(
        Attempt(at=now - 300 + 60 * number, milliseconds=120, status=503, response="upstream is unavailable")
        for number in range(3)
    )
    RedisDeliveryStore(client, prefix=PREFIX).add(
        Delivery(
            id=f"msg_{job_id}",
            type=EventType("job.failed"),
            url="https://hooks.example.org/kammerton",
            server="hooks.example.org:443",
            body="{}",
            created_at=now - 300,
            job_id=job_id,
            endpoint_id=endpoint_id,
            state=DeliveryState.FAILED,
            ended_at=now,
            why="No attempt of 3 was answered with 2xx.",
            attempts=attempts,
            tries=3,
        )
    )
    if endpoint_id is not None:
        RedisEndpointStore(client, prefix=PREFIX).add(
            Endpoint(
                id=endpoint_id,
                owner="key-1",
                url="https://hooks.example.org/kammerton",
                description="The catalogue of the archive",
                created_at=now - 86_400,
                failing_since=now - 300,
            )
        )
    client.close()


def _due(job: Job, at: float) -> Job:
    return replace(job, due_at=at)
