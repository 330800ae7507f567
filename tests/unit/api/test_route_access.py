"""Every route with every kind of caller. A new route without a row fails here."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from api.admin import api as admin_api
from shared.domain.api_key import Scope
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.ports.uploads import TusUpload
from shared.ports.workers import WorkerInfo
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_batch, make_job
from tests.support.fakes.webhooks import make_delivery, make_endpoint

SONG = b"RIFF" + bytes(100)
BOTH = (Scope.JOBS_READ, Scope.JOBS_WRITE)
CALLERS: dict[str, tuple[Scope, ...]] = {
    "owner": BOTH,
    "other": BOTH,
    "reader": (Scope.JOBS_READ,),
    "viewer": (Scope.ADMIN_READ,),
    "operator": (Scope.ADMIN_READ, Scope.ADMIN_WRITE),
}
"""All of them but the first two, and these: nobody, wrong, revoked, expired."""


@dataclass(frozen=True)
class Row:
    """One route: how to call it, and the status that each caller gets."""

    ask: dict[str, Any]
    owner: int
    other: int
    reader: int
    viewer: int
    operator: int
    nobody: int = 401
    """Who brings no key, where one is needed. A wrong, a revoked and an expired key get 401."""
    bad_key: int = 401
    anonymous: int | None = None
    """Who brings no key, where none is needed; None: the same as the stranger to a job, `other`."""


def public(status: int = 200, **ask: Any) -> Row:
    """Anybody, whatever key they bring."""
    return Row(ask, status, status, status, status, status, status, status, status)


def reads_one(**ask: Any) -> Row:
    """The owner, and who may see everybody's."""
    return Row(ask, owner=200, other=404, reader=404, viewer=200, operator=200)


def changes_one(status: int, **ask: Any) -> Row:
    """The owner, and who may change everybody's."""
    return Row(ask, owner=status, other=404, reader=403, viewer=403, operator=status)


def makes(status: int, **ask: Any) -> Row:
    """Anybody with the scope to write."""
    return Row(ask, owner=status, other=status, reader=403, viewer=403, operator=status, anonymous=status)


def own_list(**ask: Any) -> Row:
    """Of one's own, which the anonymous have none of."""
    return Row(ask, owner=200, other=200, reader=200, viewer=200, operator=200, anonymous=401)


def own_read(**ask: Any) -> Row:
    """Something that belongs to a key; an operator's key has its own."""
    return Row(ask, owner=200, other=404, reader=404, viewer=404, operator=404, anonymous=401)


def own_change(status: int, **ask: Any) -> Row:
    """The same, changed."""
    return Row(ask, owner=status, other=404, reader=403, viewer=403, operator=404, anonymous=401)


def dashboard(**ask: Any) -> Row:
    """Whoever may see the dashboard."""
    return Row(ask, owner=403, other=403, reader=403, viewer=200, operator=200, anonymous=401)


def lever(status: int = 200, **ask: Any) -> Row:
    """Whoever may work it."""
    return Row(ask, owner=403, other=403, reader=403, viewer=403, operator=status, anonymous=401)


SINCE = {"since": "2026-01-01T00:00:00Z"}
WISH = {"bytes": 1000, "media_type": "audio/wav", "filename": "a.wav"}
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
TABLE: dict[tuple[str, str], Row] = {
    ("POST", "/v1/jobs"): makes(202, content=SONG),
    ("POST", "/v1/jobs/from-url"): makes(202, json={"source_url": "https://files.example/a.flac"}),
    ("POST", "/v1/jobs/from-upload"): Row(
        {"json": {"upload_id": "unknown"}},
        owner=404,
        other=404,
        reader=403,
        viewer=403,
        operator=404,
        anonymous=404,
    ),
    ("GET", "/v1/jobs"): own_list(),
    ("GET", "/v1/jobs/{job_id}"): reads_one(),
    ("GET", "/v1/jobs/{job_id}/events"): reads_one(),
    ("GET", "/v1/events"): Row(
        {"params": {"job": "unknown"}},
        owner=200,
        other=200,
        reader=200,
        viewer=200,
        operator=200,
        anonymous=200,
    ),
    ("DELETE", "/v1/jobs/{job_id}"): changes_one(204),
    ("POST", "/v1/jobs/{job_id}/cancel"): changes_one(409),
    ("POST", "/v1/jobs/{job_id}/retry"): changes_one(202),
    ("POST", "/v1/batches"): makes(202, json={"items": [{"source_url": "https://hooks.example/a.wav"}]}),
    ("GET", "/v1/batches"): own_list(),
    ("GET", "/v1/batches/{batch_id}"): reads_one(),
    ("POST", "/v1/batches/{batch_id}/cancel"): changes_one(200),
    ("DELETE", "/v1/batches/{batch_id}"): changes_one(204),
    ("POST", "/v1/uploads"): makes(201, json=WISH),
    ("OPTIONS", "/v1/tus"): public(204),
    ("POST", "/v1/tus"): makes(201, headers=TUS | {"Upload-Length": "104"}),
    ("PATCH", "/v1/tus/{upload_id}"): changes_one(204, headers=CHUNK, content=b"RIFF"),
    ("DELETE", "/v1/tus/{upload_id}"): changes_one(204, headers=TUS),
    ("POST", "/v1/jobs/{job_id}/deliveries/{delivery_id}/redeliver"): changes_one(202),
    ("GET", "/v1/webhooks"): own_list(),
    ("POST", "/v1/webhooks"): replace(makes(201, json={"url": "https://hooks.example/new"}), anonymous=401),
    ("GET", "/v1/webhooks/secret"): own_list(),
    ("POST", "/v1/webhooks/secret/rotate"): replace(makes(200), anonymous=401),
    ("GET", "/v1/webhooks/deliveries"): own_list(),
    ("POST", "/v1/webhooks/redeliver"): replace(makes(202, json=SINCE), anonymous=401),
    ("POST", "/v1/webhooks/deliveries/{delivery_id}/redeliver"): own_change(202),
    ("GET", "/v1/webhooks/{endpoint_id}"): own_read(),
    ("PATCH", "/v1/webhooks/{endpoint_id}"): own_change(200, json={"description": "x"}),
    ("DELETE", "/v1/webhooks/{endpoint_id}"): own_change(204),
    ("POST", "/v1/webhooks/{endpoint_id}/test"): own_change(202),
    ("GET", "/metrics"): Row({}, owner=403, other=403, reader=403, viewer=200, operator=200, anonymous=401),
    ("GET", "/healthz"): public(),
    ("GET", "/readyz"): public(),
    ("GET", "/"): public(),
    ("GET", "/jobs/{job_id}"): reads_one(),
    ("GET", "/jobs/{job_id}/card"): reads_one(),
    ("GET", "/jobs/{job_id}/card.png"): reads_one(),
    ("GET", "/r/{token}"): public(404),
    ("GET", "/r/{token}/job.json"): public(404),
    ("GET", "/r/{token}/card.png"): public(404),
    ("GET", "/openapi.json"): public(),
    ("GET", "/docs"): public(),
    ("GET", "/docs/{name}"): public(404),
    ("GET", "/static"): public(404),
    ("GET", "/admin"): dashboard(),
    ("GET", "/admin/history"): dashboard(),
    ("GET", "/admin/jobs"): dashboard(),
    ("GET", "/admin/jobs/{job_id}"): dashboard(),
    ("GET", "/admin/dead"): dashboard(),
    ("GET", "/admin/scheduled"): dashboard(),
    ("GET", "/admin/batches"): dashboard(),
    ("GET", "/admin/batches/{batch_id}"): dashboard(),
    ("GET", "/admin/keys"): dashboard(),
    ("GET", "/admin/webhooks"): dashboard(),
    ("GET", "/admin/webhooks/{endpoint_id}"): dashboard(),
    ("GET", "/admin/audit"): dashboard(),
    ("GET", "/admin/{rest:path}"): replace(dashboard(), viewer=404, operator=404),
    ("GET", "/admin/api/{rest:path}"): public(404),
    ("GET", "/admin/login"): public(),
    ("POST", "/admin/login"): public(403, data={"password": "x"}),  # from no page of ours
    ("POST", "/admin/logout"): public(403),
    ("POST", "/admin/confirm"): lever(data={"action": "retry"}),
    ("POST", "/admin/bulk-actions"): lever(data={"action": "retry", "ids": "none"}),
    ("GET", "/admin/operations/{operation_id}"): replace(dashboard(), viewer=404, operator=404),
    ("POST", "/admin/dead/acknowledge"): lever(),
    ("POST", "/admin/queues/{queue}"): lever(data={"action": "resume"}),
    ("GET", "/admin/workers/{worker}/{command}"): lever(),
    ("POST", "/admin/workers/{worker}"): lever(data={"action": "resume"}),
    ("POST", "/admin/webhooks/{delivery_id}"): lever(),
    ("POST", "/admin/keys"): lever(data={"name": "x", "scopes": "jobs:read"}),
    ("GET", "/admin/keys/{key_id}/revoke"): lever(),
    ("POST", "/admin/keys/{key_id}/revoke"): lever(),
    ("GET", "/admin/api/now"): dashboard(),
    ("GET", "/admin/api/history"): dashboard(),
    ("GET", "/admin/api/jobs"): dashboard(),
    ("GET", "/admin/api/jobs/{job_id}"): dashboard(),
    ("GET", "/admin/api/audit"): dashboard(),
    ("GET", "/admin/api/events"): dashboard(),
    ("GET", "/admin/api/keys"): dashboard(),
    ("POST", "/admin/api/acts"): lever(json={"act": "retry", "ids": ["none"]}),
    ("POST", "/admin/api/bulk-actions"): lever(json={"action": "retry", "ids": ["none"]}),
    ("POST", "/admin/api/queues/{queue}/{action}"): lever(204),
    ("POST", "/admin/api/workers/{worker}/{action}"): lever(204),
    ("POST", "/admin/api/webhooks/{delivery_id}/redeliver"): lever(204),
    ("POST", "/admin/api/keys"): lever(201, json={"name": "x"}),
    ("POST", "/admin/api/keys/{key_id}/revoke"): lever(),
}


def routes(found: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of everything that the app responds to, except HEAD."""
    for context in iter_route_contexts(found):
        if isinstance(context.original_route, Mount):
            yield "GET", context.original_route.path
        for method in context.methods or ():
            if method != "HEAD":
                yield method, str(context.path)


@pytest.fixture(autouse=True)
def streams_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard's would go on for minutes."""
    monkeypatch.setattr(admin_api, "MAX_STREAM_SECONDS", 0.0)


class Path(str):
    """Fits into a route's `{name:path}`."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return str(self)


class AccessProbe:
    """One api, with one thing of everything that the owner has, made again for each request."""

    def __init__(self, *, anonymous: bool) -> None:
        self.api = ApiHarness(allow_anonymous=anonymous)
        self.tokens = {name: self.api.token(*scopes) for name, scopes in CALLERS.items()}
        self.tokens["wrong"] = "kam_" + "0" * 12 + "_" + "0" * 64
        self.tokens["revoked"] = self.api.token(*Scope)
        self.tokens["expired"] = self.api.token(*Scope, now=time.time() - 9, expires_at=time.time() - 1)
        self.api.keys.revoke(self.tokens["revoked"].split("_")[1], now=time.time())
        self.owner = self.tokens["owner"].split("_")[1]
        self._made = 0

    def answers(self, method: str, path: str, caller: str) -> int:
        ids = self._things()
        row = TABLE[method, path]
        headers = {"Authorization": f"Bearer {self.tokens[caller]}"} if caller in self.tokens else {}
        ask = row.ask | {"headers": headers | row.ask.get("headers", {})}
        with self.api.client.stream(method, path.format(**ids), **ask) as answer:
            return answer.status_code

    def _things(self) -> dict[str, str]:
        self._made += 1
        number = self._made
        for endpoint in self.api.endpoints.list_all():  # a key may have only a few
            self.api.endpoints.remove(endpoint.id)
        problem = Problem(code="x", message="x", retryable=True)
        ended = make_job(f"job-{number}", owner=self.owner, state=JobState.DEAD, problem=problem)
        self.api.jobs.add(replace(ended, expires_at=time.time() + 99))
        waiting = make_job(f"up-{number}", owner=self.owner, state=JobState.AWAITING_UPLOAD, has_audio=False)
        self.api.jobs.add(replace(waiting, expires_at=time.time() + 99, input=AudioInput(size_bytes=104)))
        self.api.resumables.add(TusUpload(id=waiting.id, metadata="", lock_owner=""))
        self.api.endpoints.add(make_endpoint(number, owner=self.owner))
        self.api.deliveries.add(
            make_delivery(number, owner=self.owner, job_id=ended.id, endpoint_id=f"ep_{number}")
        )
        batched = make_job(f"in-{number}", owner=self.owner, batch_id=f"batch-{number}")
        batch = make_batch(f"batch-{number}", batched.id, owner=self.owner)
        self.api.batches.create(batch, [(None, batched)])
        now = time.time()
        self.api.workers.heartbeat(WorkerInfo(name="w:1", host="w", pid=1, started_at=now, seen_at=now))
        return {
            "job_id": ended.id,
            "batch_id": batch.id,
            "upload_id": waiting.id,
            "endpoint_id": f"ep_{number}",
            "delivery_id": f"msg_{number}",
            "key_id": self.api.token(Scope.JOBS_READ).split("_")[1],
            "queue": "batch",
            "worker": "w:1",
            "act": "resume",
            "action": "resume",
            "command": "drain",
            "token": "none.none",
            "name": "none",
            "operation_id": "none",
            "rest": Path("nowhere"),
        }


def test_every_route_has_a_row_in_the_table() -> None:
    app: Any = ApiHarness().client.app
    assert set(routes(app.routes)) == set(TABLE)


@cache
def probe(*, anonymous: bool) -> AccessProbe:
    """One for all tests: it makes new things for each question."""
    return AccessProbe(anonymous=anonymous)


@pytest.mark.parametrize(("method", "path"), TABLE, ids=lambda part: part.strip("/") or "first page")
def test_every_caller_gets_the_status_in_the_table(method: str, path: str) -> None:
    row = TABLE[method, path]
    private, open_to_all = probe(anonymous=False), probe(anonymous=True)
    anonymous = row.other if row.anonymous is None else row.anonymous

    def ask(caller: str) -> int:
        return private.answers(method, path, caller)

    assert {caller: ask(caller) for caller in CALLERS} == {caller: getattr(row, caller) for caller in CALLERS}
    assert ask("nobody") == row.nobody
    for bad in ("wrong", "revoked", "expired"):
        assert (bad, ask(bad)) == (bad, row.bad_key)
        assert (bad, open_to_all.answers(method, path, bad)) == (bad, row.bad_key)
    assert open_to_all.answers(method, path, "nobody") == anonymous
