import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis

from local.ports import Ports
from shared.celery_queue import connect_celery
from shared.errors import Unavailable, UnsupportedServer
from shared.ports.workers import WorkerInfo
from shared.redis.client import check_supported, connect_redis, translate_redis_errors
from shared.redis.heartbeats import RedisWorkerRegistry
from shared.redis.jobs.store import RedisJobStore
from tests.support.factories import make_job
from tests.support.servers import ValkeyServer, running_valkey


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def own_valkey() -> Iterator[str]:
    """A server whose settings a test may change."""
    with running_valkey() as server:
        yield server.url


@pytest.fixture
def bus_port() -> Iterator[int]:
    """A free port for the bus of a cluster. The default, 10,000 above the server's, may not exist."""
    ports = Ports(1)
    yield ports.numbers[0]
    ports.release()


def test_failed_commands_are_reported(closed_port: int) -> None:
    reported: list[str] = []
    client = connect_redis(f"redis://127.0.0.1:{closed_port}/0", on_error=lambda: reported.append("x"))
    jobs = RedisJobStore(client, prefix="x:")
    for call in (jobs.check, lambda: jobs.backlog("interactive"), lambda: jobs.add(make_job())):
        with pytest.raises(Unavailable):
            call()
    assert len(reported) == 3
    client.close()


def test_successful_commands_are_not_reported(valkey: ValkeyServer) -> None:
    reported: list[str] = []
    client = connect_redis(valkey.url, on_error=lambda: reported.append("x"))
    client.script_flush()
    jobs = RedisJobStore(client, prefix=f"t{uuid.uuid4().hex[:8]}:")
    jobs.add(make_job())
    jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=1))
    jobs.remove("job-1")
    assert reported == []
    client.close()


def test_an_invalid_command_is_a_bug(valkey: ValkeyServer) -> None:
    with connect_redis(valkey.url) as client:
        client.set("text", "x")
        with (
            pytest.raises(redis.ResponseError, match="WRONGTYPE"),
            translate_redis_errors("Redis is unavailable."),
        ):
            client.hget("text", "field")


@pytest.mark.parametrize(
    "command", [("SET", "key", "x"), ("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "x")]
)
def test_a_full_redis_is_unavailable(own_valkey: str, command: tuple[str | int, ...]) -> None:
    with connect_redis(own_valkey) as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(Unavailable), translate_redis_errors("Redis is unavailable."):
            client.execute_command(*command)


def test_a_read_only_replica_is_unavailable(own_valkey: str) -> None:
    with connect_redis(own_valkey) as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(Unavailable), translate_redis_errors("Redis is unavailable."):
            client.set("key", "x")


def fill(client: "redis.Redis") -> None:
    client.config_set("maxmemory", "1")


def demote(client: "redis.Redis") -> None:
    client.replicaof("127.0.0.1", "1")


def lose_replicas(client: "redis.Redis") -> None:
    client.config_set("min-replicas-to-write", "1")


@pytest.mark.parametrize("break_it", [fill, demote, lose_replicas])
def test_a_store_that_only_reads_is_not_ready(
    own_valkey: str, break_it: Callable[["redis.Redis"], None]
) -> None:
    with connect_redis(own_valkey) as client:
        jobs = RedisJobStore(client, prefix="x:")
        jobs.check()
        break_it(client)
        assert jobs.backlog("interactive").waiting == 0
        for call in (jobs.check, lambda: jobs.add(make_job())):
            with pytest.raises(Unavailable):
                call()
        workers = RedisWorkerRegistry(client, prefix="x:")
        with pytest.raises(Unavailable):  # in a pipeline, where redis-py wraps the error
            workers.heartbeat(WorkerInfo(name="w", host="h", pid=1, started_at=1, seen_at=1))


def test_a_redis_cluster_is_refused(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_redis(valkey.url) as client:
        check_supported(client)
        monkeypatch.setattr(client, "info", lambda _: {"cluster_enabled": 1})
        with pytest.raises(UnsupportedServer, match="Cluster is not supported"):
            check_supported(client)


@pytest.mark.parametrize("module", ["api serve", "worker run", "worker background"])
def test_no_process_starts_on_a_redis_cluster(module: str, bus_port: int) -> None:
    with running_valkey(None, "--cluster-enabled", "yes", "--cluster-port", str(bus_port)) as cluster:
        ended = subprocess.run(
            [sys.executable, "-m", *module.split()],
            env=os.environ | {"KAMMERTON_REDIS_URL": cluster.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 2, ended.stderr
    assert "Redis Cluster is not supported. Use a single server" in ended.stderr


def test_a_half_open_connection_is_noticed_within_fifteen_seconds(valkey: ValkeyServer) -> None:
    with connect_redis(valkey.url) as client:
        client.ping()
        connection = client.connection_pool.get_connection()
        peer = connection._sock
        idle = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        probes = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * peer.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_KEEPCNT
        )
        assert idle + probes <= 15
        client.connection_pool.release(connection)


def test_the_broker_notices_a_half_open_connection_within_fifteen_seconds(valkey: ValkeyServer) -> None:
    app = connect_celery(valkey.url, prefix="x:")
    with app.connection() as connection:
        client = connection.default_channel.client
        client.ping()
        opened = client.connection_pool.get_connection()
        idle, interval, count, unacknowledged_ms = (
            opened._sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )
        client.connection_pool.release(opened)
    app.close()
    assert opened.socket_keepalive
    assert idle + interval * count <= 15
    assert unacknowledged_ms <= 15_000


def test_a_replica_without_its_master_is_unavailable(own_valkey: str, closed_port: int) -> None:
    with redis.Redis.from_url(own_valkey) as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", closed_port)
        with pytest.raises(Unavailable):
            RedisJobStore(connect_redis(own_valkey), prefix="t:").backlog("interactive")
        client.replicaof("NO", "ONE")
