"""Log in to the dashboard, and data for it to show."""

import time
from typing import Any

from fastapi.testclient import TestClient

from shared.domain.job import Job
from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState, StateTransition
from shared.ports.admin import AuditEntry, AuditQuery
from shared.ports.workers import WorkerInfo
from tests.support.api_harness import OPERATOR_PASSWORD, ApiHarness
from tests.support.factories import make_job

HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
PAGES = [
    "/admin", "/admin/history", "/admin/jobs", "/admin/scheduled", "/admin/dead", "/admin/batches",
    "/admin/webhooks", "/admin/keys", "/admin/audit",
]  # fmt: skip
CRASH_REASON = "signal 11 <in> ffmpeg"
CRASH = Problem(code="too_many_crashes", message="It crashed 3 times.", retryable=True)
NO_AUDIO = Problem(code="no_audio", message="There is no audio.", retryable=False)


def log_in(api: ApiHarness, password: str = OPERATOR_PASSWORD, **more: str) -> TestClient:
    """The client, with a session."""
    answer = api.client.post("/admin/login", data={"password": password, **more}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return api.client


def audited(api: ApiHarness) -> list[AuditEntry]:
    """The entries of the audit log without logins, newest first."""
    return [entry for entry in api.audit.page(AuditQuery(limit=99)).entries if entry.act != "login"]


def make_dead_job(job_id: str, **changes: Any) -> Job:
    """A job whose three attempts crashed."""
    fields: dict[str, Any] = {
        "state": JobState.DEAD,
        "queued_at": None,
        "problem": CRASH,
        "attempts": 3,
        "timeline": (
            StateTransition(at=1.0, state=JobState.QUEUED, attempt=0),
            StateTransition(at=2.0, state=JobState.RUNNING, attempt=3, worker="host:7"),
            StateTransition(
                at=3.0, state=JobState.DEAD, attempt=3, worker="host:7", why="signal 11 <in> ffmpeg"
            ),
        ),
    }
    return make_job(job_id, **fields | changes)


def make_worker() -> WorkerInfo:
    """A worker that runs a job."""
    now = time.time()
    return WorkerInfo(
        name="host:7",
        host="host",
        pid=7,
        started_at=now - 90,
        seen_at=now - 1,
        queues=("interactive",),
        jobs_done=12,
        memory_bytes=95,
        memory_limit_bytes=100,
        current_jobs=("job-1",),
    )
