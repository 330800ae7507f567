"""The real API, asked everything that its own document allows, and what it forbids, by schemathesis."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from local.ports import Ports
from shared.domain.api_key import Scope
from shared.domain.job import Job
from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState
from shared.errors import Conflict, LeaseLost, NotFound
from shared.ports.jobs import JobQuery
from shared.redis.client import connect_redis
from shared.redis.jobs.store import RedisJobStore
from tests.support.factories import make_report
from tests.support.secrets import lines_with_secrets
from tests.support.servers import S3Server, ValkeyServer

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
EXAMPLES = os.environ.get("KAMMERTON_OPENAPI_EXAMPLES", "15")
"""For each operation. More find more, and take longer."""
UPLOAD_SECONDS = 2
"""How long an upload may stay open, once they end at all: a stream of its events lasts as long."""
UPLOADS = "/v1/tus/{upload_id}"


@dataclass
class Api:
    url: str
    env: dict[str, str]
    log: Path
    uploads_end: threading.Event

    def token(self, *scopes: Scope) -> str:
        arguments = [part for scope in scopes for part in ("--scope", scope)]
        made = subprocess.run(
            [sys.executable, "-m", "api", "keys", "create", "schemathesis", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return made.stdout.strip()


@contextmanager
def running_api(valkey: ValkeyServer, s3: S3Server, log: Path, **settings: str) -> Iterator[Api]:
    """A real process over real servers, and somebody who ends every job: streams of events end with it."""
    ports = Ports(1)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAMMERTON_", "AWS_"))}
    env = clean | {
        "KAMMERTON_REDIS_URL": valkey.url,
        "KAMMERTON_REDIS_PREFIX": f"t{uuid.uuid4().hex[:8]}:",
        "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
        "KAMMERTON_S3_BUCKET": f"t{uuid.uuid4().hex[:8]}",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "KAMMERTON_RATE_LIMITS_ENABLED": "false",
        "KAMMERTON_LOG_FORMAT": "json",
        "KAMMERTON_LOG_LEVEL": "DEBUG",
        "KAMMERTON_ADMIN_PASSWORD": uuid.uuid4().hex,
        **settings,
    }
    url = f"http://127.0.0.1:{ports.numbers[0]}"
    command = [sys.executable, "-m", "api", "serve", "--port", str(ports.numbers[0])]
    with (
        log.open("w") as out,
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as process,
    ):
        try:
            while not _ready(url):
                assert process.poll() is None, log.read_text()[-4000:]
                time.sleep(0.2)
            api = Api(url, env, log, threading.Event())
            with every_job_ends(valkey.url, env["KAMMERTON_REDIS_PREFIX"], uploads_end=api.uploads_end):
                yield api
        finally:
            process.terminate()
            process.wait(30)
            ports.release()


@contextmanager
def every_job_ends(url: str, prefix: str, *, uploads_end: threading.Event) -> Iterator[None]:
    """One half well, the other not."""
    stop = threading.Event()
    client = connect_redis(url)
    jobs = RedisJobStore(client, prefix=prefix)

    def end_them() -> None:
        waiting = JobQuery(states=frozenset({JobState.AWAITING_UPLOAD, JobState.QUEUED}), limit=200)
        while not stop.wait(0.3):
            for job in jobs.page(waiting).jobs:
                if job.state is JobState.QUEUED or uploads_end.is_set():
                    with suppress(Conflict, NotFound, LeaseLost):
                        jobs.change(job.id, _ended)

    thread = threading.Thread(target=end_them)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        client.close()


def _ended(job: Job) -> Job:
    now = time.time()
    if job.state is JobState.AWAITING_UPLOAD:
        return job if now < job.created_at + UPLOAD_SECONDS else job.cancel(now=now)
    started = job.start(worker="w", now=now, lease_seconds=60)
    if started.state is not JobState.RUNNING:
        return started
    if sum(job.id.encode()) % 2:
        return started.succeed(started.attempts, make_report(), now=now)
    problem = Problem(code="undecodable", message="This isn't audio.", retryable=False)
    return started.fail(started.attempts, problem, now=now)


def statuses(log: str, method: str, route: str) -> set[int]:
    """With what this route answered."""
    lines = [json.loads(line) for line in log.splitlines() if '"event": "request_handled"' in line]
    return {line["status"] for line in lines if (line["method"], line["route"]) == (method, route)}


def _ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx2.HTTPError:
        return False


def some(api: Api, headers: dict[str, str]) -> dict[str, str]:
    """Jobs and unfinished uploads for schemathesis to come upon."""
    with httpx2.Client(base_url=api.url, headers=headers, timeout=30) as client:
        jobs = [client.post("/v1/jobs", content=b"fLaC" + bytes(1000)) for _ in range(12)]
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
        uploads = [client.post("/v1/tus", headers=tus) for _ in range(12)]
    return {
        "KNOWN_JOBS": " ".join(answer.json()["id"] for answer in jobs),
        "KNOWN_UPLOADS": " ".join(answer.headers["location"].rpartition("/")[2] for answer in uploads),
    }


def check(api: Api, *options: str, known: dict[str, str], least: int = 20) -> None:
    """Run schemathesis on at least so many operations: all checks, all phases, sequences included."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run"),
            *(f"{api.url}/openapi.json", "--checks=all", "--phases=examples,coverage,fuzzing,stateful"),
            "--exclude-path=/admin/api/events",  # never ends: each request would last until its timeout
            *(f"--max-examples={EXAMPLES}", "--seed=1", "--continue-on-failure", "--no-color", "--no-shrink"),
            *options,
        ],
        cwd=api.log.parent,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)} | known,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
    selected, tested = (int(re.findall(rf"{word}: +(\d+)", ran.stdout)[0]) for word in ("Selected", "Tested"))
    assert selected == tested >= least, ran.stdout[-5000:]


@pytest.mark.parametrize("who", ["nobody", "anybody", "key", "operator"])
def test_the_api_does_what_its_document_says(
    valkey: ValkeyServer, s3: S3Server, tmp_path: Path, who: str
) -> None:
    anonymous = "true" if who == "anybody" else "false"
    with running_api(valkey, s3, tmp_path / "api.log", KAMMERTON_ALLOW_ANONYMOUS=anonymous) as api:
        scopes = [*Scope] if who == "operator" else [Scope.JOBS_READ, Scope.JOBS_WRITE]
        headers = {"Authorization": f"Bearer {api.token(*scopes)}"} if who in {"key", "operator"} else {}
        options = [f"--header={name}: {value}" for name, value in headers.items()]
        if who != "nobody":  # first, while the uploads are open
            check(api, f"--include-path={UPLOADS}", *options, known=some(api, headers), least=3)
        api.uploads_end.set()
        check(api, *options, known={} if who == "nobody" else some(api, headers))
    log = api.log.read_text()
    assert "unexpected_error" not in log
    if who != "nobody":
        assert 200 in statuses(log, "GET", "/v1/jobs/{job_id}/events")
        assert statuses(log, "PATCH", UPLOADS) & {204, 409}  # it found an upload
    secrets = [api.env["KAMMERTON_ADMIN_PASSWORD"], s3.secret_key]
    secrets += [value.rpartition("_")[2] for value in headers.values()]
    assert lines_with_secrets(api.log, secrets) == []
