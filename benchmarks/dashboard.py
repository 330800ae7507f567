"""Does the dashboard cost more with more jobs? `python -m benchmarks.dashboard`: one run, one ratio.

Two stores in one real Valkey hold 100 and 100,000 jobs of the same mixture. Each page is asked for over the
real app, in turns so that the machine's moods meet both alike; the CPU time of this process and of Valkey is
added up. A page's cost is the median of its rounds.

Both stores are mixed so that each page shows as many rows with 100 jobs as with 100,000: what is compared is
the cost of there being more jobs, not of a longer page.

Caveats: both stores share the Valkey; the app runs in this process without a socket; Python's CPU time
dominates, which is what the machine pays.
"""

import json
import logging
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
import structlog
from fastapi.testclient import TestClient

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState, StateTransition
from shared.redis.admin.audit_log import RedisAuditLog
from shared.redis.admin.secrets import RedisSecretStore
from shared.redis.admin.worker_control import RedisWorkerControl
from shared.redis.heartbeats import RedisUploadRegistry, RedisWorkerRegistry
from shared.redis.history import RedisHistory
from shared.redis.jobs.indexes import index_entries
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.records import dump_job
from shared.redis.jobs.search import RedisJobSearch
from shared.redis.jobs.store import RedisJobStore
from shared.redis.jobs.updates import RedisJobUpdateLog
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from tests.support.api_harness import OPERATOR_PASSWORD, ApiHarness
from tests.support.factories import NAME_WORDS
from tests.support.servers import running_valkey

FEW, MANY, ROUNDS = 100, 100_000, 40
STATES = (JobState.SUCCEEDED, JobState.FAILED, JobState.DEAD, JobState.QUEUED)


def main() -> None:
    """Print a line for each page, and the worst ratio."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with running_valkey() as server:
        client = redis.Redis.from_url(server.url, decode_responses=True)
        few, many = store(client, "few:", FEW), store(client, "many:", most)
        worst = 0.0
        with few[0], many[0]:
            for path in pages():
                costs: tuple[list[float], list[float]] = ([], [])
                for _ in range(ROUNDS):
                    for (app, job_id), into in zip((few, many), costs, strict=True):
                        into.append(cost(client, partial(ask, app, path, job_id)))
                small, large = (statistics.median(into) for into in costs)
                worst = max(worst, large / small)
                print(f"{path:<48} {1000 * small:7.2f} ms {1000 * large:7.2f} ms  x{large / small:.2f}")
        print(f"worst ratio, {most:,} jobs to {FEW}: {worst:.2f}")


def pages() -> list[str]:
    return [
        "/admin",
        "/admin/history",
        "/admin/history?span=week",
        "/admin/jobs",
        "/admin/jobs?state=failed",
        "/admin/jobs?reason=no_audio",
        "/admin/jobs?worker=host:1",
        "/admin/jobs?since=day",
        "/admin/jobs?q=midnight",
        "/admin/jobs?q=nothing-is-called-so",
        "/admin/jobs?q={id}",
        "/admin/dead",
        "/admin/jobs/{id}",
        "/admin/audit",
        "/admin/api/now",
        "/admin/api/jobs?state=queued",
    ]


def ask(client: TestClient, path: str, job_id: str) -> None:
    answer = client.get(path.replace("{id}", job_id))
    assert answer.status_code == 200, (path, answer.status_code)


def cost(client: "redis.Redis", act: Callable[[], None]) -> float:
    """CPU seconds of this process and of Valkey."""
    theirs, ours = valkey_seconds(client), time.process_time()
    act()
    mine = time.process_time() - ours
    return mine + valkey_seconds(client) - theirs


def valkey_seconds(client: "redis.Redis") -> float:
    spent: Any = client.info("cpu")
    return float(spent["used_cpu_user"]) + float(spent["used_cpu_sys"])


def store(client: "redis.Redis", prefix: str, count: int) -> tuple[TestClient, str]:
    """A logged-in client of an app over so many jobs, and the id of one of them."""
    chance = random.Random(count)
    now = time.time()
    pipe = client.pipeline(transaction=False)
    job_id = ""
    for number in range(count):
        job = make_job(number, chance, at=now - 86_000 * chance.random())
        job_id = job.id
        pipe.hset(f"{prefix}job:{job.id}", mapping={"version": "1", "record": dump_job(job)})
        for (index, member), score in index_entries(job).items():
            pipe.zadd(prefix + index, {member: score})
        if number % 1000 == 999:
            pipe.execute()
    pipe.execute()
    print(f"{prefix} {count:,} jobs in Valkey", json.dumps(client.info("memory")["used_memory_human"]))
    return app_over(client, prefix), job_id


def make_job(number: int, chance: random.Random, *, at: float) -> Job:
    state = STATES[number % 4]
    bad = state in {JobState.FAILED, JobState.DEAD}
    worker = f"host:{number % 3}"
    ended = (
        ()
        if state is JobState.QUEUED
        else (StateTransition(at=at + 2, state=state, attempt=1, worker=worker),)
    )
    return Job(
        id=f"{number:06}{chance.randbytes(8).hex()}",
        state=state,
        queue="interactive",
        created_at=at,
        queued_at=at,
        due_at=at,
        attempts=1,
        attempts_allowed=3,
        keep_seconds=86_400,
        expires_at=None if state is JobState.QUEUED else at + 86_400,
        input=AudioInput(
            filename=f"{chance.choice(NAME_WORDS)} {chance.choice(NAME_WORDS)} {chance.randrange(99)}.mp3",
            media_type="audio/mpeg",
            size_bytes=chance.randrange(10**8),
            sha256=chance.randbytes(32).hex(),
        ),
        problem=Problem(code="no_audio", message="No.", retryable=False) if bad else None,
        timeline=(StateTransition(at=at, state=JobState.QUEUED, attempt=0), *ended),
    )


def app_over(client: "redis.Redis", prefix: str) -> TestClient:
    app = ApiHarness(
        jobs=RedisJobStore(client, prefix=prefix, followers=[JobMetricsFollower(prefix=prefix)]),
        workers=RedisWorkerRegistry(client, prefix=prefix),
        transitions=RedisJobUpdateLog(client, prefix=prefix),
        vault=RedisSecretStore(client, prefix=prefix),
        overview=RedisJobSearch(client, prefix=prefix),
        history=RedisHistory(client, prefix=prefix),
        controls=RedisWorkerControl(client, prefix=prefix),
        audit=RedisAuditLog(client, prefix=prefix),
        deliveries=RedisDeliveryStore(client, prefix=prefix),
        endpoints=RedisEndpointStore(client, prefix=prefix),
        uploads=RedisUploadRegistry(client, prefix=prefix),
    ).client
    app.headers.update({"Accept": "text/html", "Sec-Fetch-Site": "same-origin"})
    assert app.post("/admin/login", data={"password": OPERATOR_PASSWORD}).status_code == 200
    return app


if __name__ == "__main__":
    main()
