"""How much of Redis a finished job takes: `python -m benchmarks.redis_memory [JOBS]`.

A real Valkey records jobs from their creation to their end, as the API, workers, and the notifier do: with
and without a webhook endpoint. Bytes are the difference of `used_memory` before and after, for each job. Keys
that don't grow with the number of jobs, such as counters, are written before.

Caveats: reports are made up, with at least as much information as those of real songs. Names of files have a
number and four words. Redis allocates in steps, and its hash tables double, so one run can be 5 % off.
"""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING, Any

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.domain.report import Report, Spectrum
from shared.domain.webhooks.delivery import Attempt, Delivery
from shared.domain.webhooks.endpoint import Endpoint
from shared.domain.webhooks.events import ALL_ENDS
from shared.redis.client import connect_redis
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.store import RedisJobStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from shared.redis.webhooks.outbox import WebhookOutbox
from tests.support.factories import NAME_WORDS, make_report
from tests.support.servers import running_valkey
from worker.webhooks.fan_out import fan_out_events

if TYPE_CHECKING:
    import redis

JOBS = 2000
PREFIX = "kammerton:"
_OWNER = "3f9a1c77d2e04b56"
_WARM_UP_JOBS = 200
_WORDS = NAME_WORDS[:11]  # more would change the measured bytes


class JobRecorder:
    """Records jobs, and what follows from them, until they have ended."""

    def __init__(self, client: "redis.Redis", *, prefix: str = PREFIX, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._jobs = RedisJobStore(
            client,
            prefix=prefix,
            followers=[WebhookOutbox(prefix=prefix), JobMetricsFollower(prefix=prefix)],
        )
        self._deliveries = RedisDeliveryStore(client, prefix=prefix)
        self._endpoints = RedisEndpointStore(client, prefix=prefix)

    def add_endpoint(self) -> None:
        """Register a webhook endpoint for all jobs."""
        endpoint = Endpoint(
            id="ep_" + token_hex(8),
            owner=_OWNER,
            url="https://example.com/kammerton/webhooks",
            events=ALL_ENDS,
            description=None,
            created_at=time.time(),
        )
        self._endpoints.add(endpoint)

    def record(self, count: int) -> None:
        """Record jobs of one caller that succeed, and deliver their webhooks."""
        for _ in range(count):
            self._run(self._new_job())
            self._deliver()

    def _run(self, job: Job) -> None:
        worker = f"kammerton-worker-7d9f8b6c5-x2x7k:{self._random.randrange(9999)}"
        report = self._report()
        now = job.created_at
        steps: list[Callable[[Job], Job]] = [
            lambda job: job.start(worker=worker, now=now, lease_seconds=15),
            lambda job: job.succeed(1, report, now=now + 1.2, memory_peak_bytes=61_345_792),
            Job.mark_audio_deleted,
        ]
        self._jobs.add(job)
        for step in steps:
            self._jobs.change(job.id, step)

    def _new_job(self) -> Job:
        now = time.time()
        words = self._random.sample(_WORDS, 4)
        name = f"{self._random.randrange(100):02d} {' '.join(words)}.flac".title()
        return Job.queued(
            now=now,
            id=token_urlsafe(16),
            queue="interactive",
            attempts_allowed=3,
            keep_seconds=86_400.0,
            input=AudioInput(
                filename=name,
                media_type="audio/flac",
                size_bytes=self._random.randrange(10**7, 5 * 10**7),
                sha256=self._random.randbytes(32).hex(),
            ),
            owner=_OWNER,
            request_id=token_hex(16),
        )

    def _report(self) -> Report:
        report = make_report()
        levels, level = [], -40.0
        for _ in range(512):
            level = min(0.0, max(-80.0, level + self._random.gauss(-0.02, 2.2)))
            levels.append(level)
        weights = [self._random.random() ** 6 for _ in range(100)]
        tuning = replace(
            report.tuning,
            a4_hz=self._random.uniform(428, 446),
            confidence=self._random.random(),
            accuracy_probability=self._random.random(),
            verdict_probability=self._random.random(),
            probabilities={hz: self._random.random() for hz in ("415", "432", "440", "442", "other")},
            uncertainty_cents=self._random.random(),
            drift_cents=tuple(self._random.gauss(0, 1) for _ in range(6)),
            dominant_hz=self._random.uniform(60, 900),
            histogram=tuple(weight / sum(weights) for weight in weights),
            spectrum=Spectrum(low_hz=27.5, high_hz=14_080.0, levels_db=tuple(levels)),
        )
        return replace(report, tuning=tuning)

    def _deliver(self) -> None:
        now = time.time()
        fan_out_events(deliveries=self._deliveries, endpoints=self._endpoints, now=now)
        attempt = Attempt(at=now + 1, milliseconds=85, status=200, response='{"ok": true}')
        steps: list[Callable[[Delivery], Delivery]] = [
            lambda due: due.claim(now=now + 1, lease_seconds=30),
            lambda due: due.record(due.claims, attempt, now=now + 1, jitter=0.0),
        ]
        for due in self._deliveries.due(now=now + 1, max_per_server=9, excluded_servers=(), limit=9):
            for step in steps:
                self._deliveries.change(due.id, step)


def bytes_per_job(client: "redis.Redis", jobs: int, *, webhook: bool) -> float:
    """How much `used_memory` grows with each finished job. The database must be empty."""
    recorder = JobRecorder(client)
    if webhook:
        recorder.add_endpoint()
    recorder.record(_WARM_UP_JOBS)
    before = _used(client)
    recorder.record(jobs)
    return (_used(client) - before) / jobs


def bytes_by_key(client: "redis.Redis", jobs: int) -> dict[str, float]:
    """Bytes of each kind of key, for each job."""
    found: dict[str, float] = {}
    for name in client.scan_iter(count=1000):
        kind = name.removeprefix(PREFIX)
        kind = ":".join(part for part in kind.split(":") if len(part) < 16)
        size: Any = client.memory_usage(name, samples=0)
        found[kind] = found.get(kind, 0.0) + size / jobs
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _used(client: "redis.Redis") -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])


def main(jobs: int) -> None:
    """Print the bytes of a job without and with a webhook, and of what."""
    for webhook in (False, True):
        with running_valkey() as server, connect_redis(server.url) as client:
            size = bytes_per_job(client, jobs, webhook=webhook)
            print(f"{'with' if webhook else 'without'} a webhook endpoint: {size:,.0f} bytes of each job")
            for kind, part in bytes_by_key(client, jobs + _WARM_UP_JOBS).items():
                if part >= 5:
                    print(f"    {part:7,.0f}  {kind}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS)
