"""Two versions of the service run side by side: each keeps what the other has written."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.webhooks.events import EventType
from shared.errors import UnreadableRecord
from shared.ports.jobs import JobQuery
from shared.ports.webhooks import DeliveryQuery
from shared.redis.admin.worker_control import RedisWorkerControl
from shared.redis.api_keys import RedisApiKeyStore
from shared.redis.batches.records import BatchRecords
from shared.redis.batches.store import RedisBatchStore
from shared.redis.client import connect_redis
from shared.redis.heartbeats import RedisUploadRegistry, RedisWorkerRegistry
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from shared.redis.jobs.search import RedisJobSearch
from shared.redis.jobs.store import RedisJobStore
from shared.redis.tus_uploads import RedisTusUploadStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from shared.redis.webhooks.outbox import EVENTS, WebhookOutbox
from shared.schemas.job import JobView
from tests.support.factories import make_job, make_report
from tests.support.fakes.webhooks import make_delivery, make_endpoint, make_event
from tests.support.servers import ValkeyServer

OLD_RECORDS = Path(__file__).parents[2] / "support" / "data" / "records-0.1.json"
CREATED = 1795300000.0


@pytest.fixture
def client(valkey: ValkeyServer) -> Iterator["redis.Redis"]:
    with connect_redis(valkey.url) as client:
        yield client


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}:"


@pytest.fixture
def jobs(client: "redis.Redis", prefix: str) -> RedisJobStore:
    return RedisJobStore(
        client,
        prefix=prefix,
        followers=[WebhookOutbox(prefix=prefix), JobMetricsFollower(prefix=prefix)],
        companions=[BatchRecords(client, prefix=prefix).change_for_job],
    )


@pytest.fixture
def old_records(client: "redis.Redis", prefix: str) -> dict[str, Any]:
    """What version 0.1 has written, in this store."""
    records: dict[str, Any] = json.loads(OLD_RECORDS.read_text())
    write: dict[str, Any] = {
        "hash": lambda name, value: client.hset(name, mapping=value),
        "string": client.set,
        "set": lambda name, value: client.sadd(name, *value),
        "zset": lambda name, value: client.zadd(name, dict(value)),
        "stream": lambda name, value: [client.xadd(name, fields) for fields in value],
    }
    for name, record in records.items():
        write[record["type"]](name.replace("kammerton:", prefix, 1), record["value"])
    return records


def test_every_record_of_the_last_release_is_read(
    client: "redis.Redis", prefix: str, jobs: RedisJobStore, old_records: dict[str, Any]
) -> None:
    found = jobs.page(JobQuery(limit=50)).jobs
    assert sorted(job.id for job in found) == sorted(
        name.rpartition(":")[2] for name in old_records if ":job:" in name and ":hooks:" not in name
    )
    assert all(job.state.is_known and not job.unknown_fields for job in found)
    report = jobs.get("succeeded").report
    assert report is not None
    assert (report.tuning.a4_hz, len(report.tuning.histogram)) == (432.04, 100)
    assert report.tuning.spectrum is not None
    batches = RedisBatchStore(client, jobs=jobs.records, batches=BatchRecords(client, prefix=prefix))
    batch, states = batches.get_with_item_states("batch-1")
    assert ([item.job_id for item in batch.items], states) == (["b1", "b2"], {"b2": "queued"})
    deliveries = RedisDeliveryStore(client, prefix=prefix)
    assert len(deliveries.pending_events(limit=99)) == 7
    assert [one.id for one in deliveries.page(DeliveryQuery(owner="key1"))] == ["msg_2"]
    assert deliveries.due(now=CREATED + 1, max_per_server=9, excluded_servers=(), limit=9)
    endpoints = RedisEndpointStore(client, prefix=prefix)
    assert [one.id for one in endpoints.list_all()] == ["ep_1"]
    assert endpoints.secrets("key1").current.startswith("whsec_")
    assert [key.id for key in RedisApiKeyStore(client, prefix=prefix).list_all()] == ["key1"]
    remainder = RedisTusUploadStore(client, prefix=prefix).get("awaiting").remainder
    assert remainder is not None
    assert remainder.size_bytes == 9
    assert [one.name for one in RedisWorkerRegistry(client, prefix=prefix).list_alive()] == ["celery@host"]
    assert [one.id for one in RedisUploadRegistry(client, prefix=prefix).list_alive()] == ["up"]
    control = RedisWorkerControl(client, prefix=prefix)
    assert (control.paused(), control.commands()) == (frozenset({"batch"}), {"host:7": "drain"})


def test_jobs_of_the_last_release_go_on_and_stay_readable_for_it(
    client: "redis.Redis", prefix: str, jobs: RedisJobStore, old_records: dict[str, Any]
) -> None:
    for job_id in ("queued", "source"):
        jobs.change(job_id, lambda job: job.start(worker="w", now=CREATED + 9, lease_seconds=15))
        jobs.change(job_id, lambda job: job.succeed(1, make_report(), now=CREATED + 12))
    jobs.change("running", lambda job: job.renew_lease(1, now=CREATED + 5, lease_seconds=15))
    jobs.change("dead", lambda job: job.retry(now=CREATED + 99, attempts=1))
    jobs.change("awaiting", lambda job: job.submit(now=CREATED + 9))
    for job_id in ("queued", "source", "running", "dead", "awaiting"):
        old = json.loads(old_records[f"kammerton:job:{job_id}"]["value"]["record"])
        new = json.loads(str(client.hget(f"{prefix}job:{job_id}", "record")))
        # defaults are left out: both versions have the same
        needed = {name for name, value in old.items() if value not in (None, True, False, 0, [])}
        optional = {
            "lease",
            "due_at",
            "queued_at",
            "multipart",
            "problem",
            "finished_at",
            "expires_at",
            "started_at",
        }
        assert needed - optional <= set(new), job_id
    for job in jobs.page(JobQuery(limit=50)).jobs:
        jobs.remove(job.id)
    left = {name.removeprefix(prefix) for name in client.scan_iter(prefix + "*", count=1000)}
    assert not {
        name for name in left if name.startswith(("job:", "state:", "expiry", "leases", "due:", "words"))
    }


def test_states_and_fields_of_a_newer_version_are_kept_and_shown(
    client: "redis.Redis", prefix: str, jobs: RedisJobStore
) -> None:
    jobs.add(make_job())
    name = f"{prefix}job:job-1"
    record = json.loads(str(client.hget(name, "record")))
    record |= {"state": "hibernating", "mood": {"is": "new"}, "format": 9}
    record["timeline"] = [{"at": 2.0, "state": "hibernating", "attempt": 0, "weather": "fine"}]
    client.hset(name, "record", json.dumps(record))
    job = jobs.get("job-1")
    assert (job.state, job.state.is_known, job.state.is_final) == ("hibernating", False, False)
    assert JobView.of(job).model_dump(mode="json")["state"] == "hibernating"
    jobs.change("job-1", lambda job: job.extend_upload(9.0))
    jobs.change("job-1", Job.mark_audio_deleted)
    written = json.loads(str(client.hget(name, "record")))
    assert (written["state"], written["mood"], written["has_audio"]) == ("hibernating", {"is": "new"}, False)


def test_a_state_that_no_version_knows_is_still_refused_in_requests() -> None:
    with pytest.raises(ValueError, match="hibernating"):
        JobState("hibernating")


def test_one_unreadable_job_does_not_hide_the_others(
    client: "redis.Redis", prefix: str, jobs: RedisJobStore
) -> None:
    for number in range(5):
        jobs.add(make_job(f"job-{number}", created_at=float(number)))
    client.hset(f"{prefix}job:job-3", "record", "{")
    client.hset(f"{prefix}job:job-1", "record", '{"id":"job-1"}')
    listed = [job.id for job in jobs.page(JobQuery(limit=9)).jobs]
    found = [job.id for job in RedisJobSearch(client, prefix=prefix).search("söng", limit=9)]
    assert listed == found == ["job-4", "job-2", "job-0"]
    with pytest.raises(UnreadableRecord):
        jobs.get("job-3")


def test_unreadable_events_and_deliveries_make_room_for_others(client: "redis.Redis", prefix: str) -> None:
    deliveries = RedisDeliveryStore(client, prefix=prefix)
    for number in range(1, 4):
        client.set(f"{prefix}hooks:event:evt_{number}", "{" if number < 3 else _event_record(number))
        client.zadd(f"{prefix}hooks:outbox", {f"evt_{number}": float(number)})
        deliveries.add(make_delivery(number))
    assert deliveries.pending_events(limit=2) == ()
    assert [event.id for event in deliveries.pending_events(limit=2)] == ["evt_3"]
    for number in (1, 2):
        client.hset(f"{prefix}hooks:delivery:msg_{number}", "record", "[]")

    def due() -> list[str]:
        return [one.id for one in deliveries.due(now=99.0, max_per_server=2, excluded_servers=(), limit=9)]

    assert (due(), due()) == ([], ["msg_3"])


def _event_record(number: int) -> str:
    return EVENTS.dump(make_event(number))


def test_an_event_type_of_a_newer_version_is_delivered_as_it_is(client: "redis.Redis", prefix: str) -> None:
    record = json.loads(_event_record(1)) | {"type": "job.hibernated", "shade": 3}
    client.set(f"{prefix}hooks:event:evt_1", json.dumps(record))
    client.zadd(f"{prefix}hooks:outbox", {"evt_1": 1.0})
    (event,) = RedisDeliveryStore(client, prefix=prefix).pending_events(limit=9)
    assert (event.type, json.loads(event.unknown_fields)) == ("job.hibernated", {"shade": 3})


def test_an_unreadable_endpoint_does_not_hide_the_others(client: "redis.Redis", prefix: str) -> None:
    endpoints = RedisEndpointStore(client, prefix=prefix)
    endpoints.add(make_endpoint(1))
    endpoints.add(make_endpoint(2, events=(EventType.SUCCEEDED,)))
    client.hset(f"{prefix}hooks:endpoints", "ep_1", "{")
    assert [one.id for one in endpoints.list_for_owner("key-1")] == ["ep_2"]
    assert [one.id for one in endpoints.list_all()] == ["ep_2"]


def test_an_unreadable_worker_does_not_hide_the_others(client: "redis.Redis", prefix: str) -> None:
    client.set(f"{prefix}worker:a", "{")
    client.set(
        f"{prefix}worker:b", '{"name":"b","host":"h","pid":1,"started_at":1,"seen_at":1,"new_field":true}'
    )
    client.zadd(f"{prefix}workers", {"a": 1.0, "b": 2.0})
    assert [one.name for one in RedisWorkerRegistry(client, prefix=prefix).list_alive()] == ["b"]
