"""Every kind of Redis key has one type: no two stores share a name."""

import re
import time
import uuid
from collections import defaultdict

from shared.domain.api_key import Scope, issue_key
from shared.domain.job_state import JobState
from shared.ports.access import Quota
from shared.ports.admin import AuditEntry, BulkOperation
from shared.ports.uploads import UploadInfo
from shared.ports.workers import WorkerCommand, WorkerInfo
from shared.redis.client import connect_redis
from shared.services import Services, connect
from shared.settings import Settings
from tests.support.factories import make_batch, make_job, make_report
from tests.support.servers import ValkeyServer

NOW = time.time()
KEY_TYPES = {
    "all": "zset",
    "state:*": "zset",
    "owner:*": "zset",
    "worker:*": "zset",
    "verdict:*": "zset",
    "all-batches": "zset",
    "sha256:*": "zset",
    "waiting:*": "zset",
    "due:*": "zset",
    "leases": "zset",
    "unwanted": "zset",
    "expiry": "zset",
    "recall:*": "zset",
    "words": "zset",
    "workers": "zset",
    "uploads": "zset",
    "queues": "set",
    "paused": "set",
    "job:*": "hash",
    "orders": "hash",
    "keys": "hash",
    "keys:revoked": "hash",
    "keys:used": "hash",
    "acknowledged": "hash",
    "operation:*": "string",
    "counts": "hash",
    "history:*": "hash",
    "heartbeat:worker:*": "string",
    "upload:*": "string",
    "vault:*": "string",
    "attempts:*": "string",
    "write-check": "string",
    "transitions": "stream",
    "audit": "stream",
}


def test_each_kind_of_key_has_one_type(valkey: ValkeyServer) -> None:
    prefix = f"types-{uuid.uuid4().hex}:"
    settings = Settings(redis_url=valkey.url, redis_prefix=prefix)
    services = connect(settings)
    write_everything(services)
    client = connect_redis(valkey.url)
    types = defaultdict(set)
    for key in client.scan_iter(prefix + "*", count=1000):
        types[pattern_of(str(key).removeprefix(prefix))].add(client.type(key))
    known = {name: {kind} for name, kind in KEY_TYPES.items()}
    unknown = {name: kinds for name, kinds in types.items() if name not in known and not is_detail(name)}
    assert unknown == {}
    assert {name: types[name] for name in known} == known


def pattern_of(key: str) -> str:
    """The key with its variable part replaced by `*`."""
    for name in sorted(KEY_TYPES, key=len, reverse=True):
        if name.endswith("*") and key.startswith(name[:-1]):
            return name
    return key


def is_detail(key: str) -> bool:
    """Keys of webhooks, batches and limits, which have no name in common with those above."""
    return re.match(r"(hooks|batch|limits|places|claim|resumable)", key) is not None


def write_everything(services: Services) -> None:
    """One record of each kind that the dashboard reads."""
    worker = WorkerInfo(name="host:7", host="host", pid=7, started_at=NOW, seen_at=NOW)
    services.workers.heartbeat(worker)
    services.upload_registry.heartbeat(
        [UploadInfo(id="u", started_at=NOW, seen_at=NOW, received_bytes=1, declared_bytes=2, filename="a")]
    )
    services.worker_control.pause("batch")
    services.worker_control.send_command("host:7", WorkerCommand.DRAIN)
    key, _ = issue_key("test", scopes=frozenset({Scope.JOBS_READ}), now=NOW)
    services.api_keys.add(key)
    services.api_keys.mark_used(key.id, now=NOW)
    services.api_keys.revoke(key.id, now=NOW)
    services.dashboard.acknowledge("dead", 1)
    operation = BulkOperation(
        id="o", action="retry", selection="all", actor="a", started_at=NOW, updated_at=NOW, total=1
    )
    services.dashboard.save_operation(operation, ttl_seconds=60)
    services.secrets.get_or_create("session-key", "x")
    services.secrets.count_attempt("login", window_seconds=60)
    services.audit_log.add(AuditEntry(at=NOW, who="a", address="b", act="c", what="d", count=1))
    services.rate_limiter.consume(Quota(name="requests", limit=10, window_seconds=60), "subject")
    services.jobs.add(make_job("running", owner="key-1", expires_at=NOW + 60))
    services.jobs.change("running", lambda job: job.start(worker="host:7", now=NOW, lease_seconds=60))
    services.jobs.add(make_job("waiting"))
    services.jobs.check()
    item = make_job("item", batch_id="batch-1")
    services.batches.create(make_batch("batch-1", "item", owner="key-1"), [(None, item)])
    finished = {
        "state": JobState.SUCCEEDED,
        "queued_at": None,
        "report": make_report(),
        "finished_at": NOW,
        "expires_at": NOW + 60,
    }
    services.jobs.add(make_job("finished", **finished))
