"""Redis over TLS, by Sentinel with users, at IPv6 addresses, and another Redis for messages."""

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import trustme

from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.errors import Unavailable, UnsupportedServer
from shared.redis.client import connect_redis
from shared.redis.sentinel import parse_sentinel_url
from shared.services import connect
from shared.settings import read_settings
from tests.integration.redis.test_client import free_port, running_server
from tests.support.servers import ValkeyServer
from tests.support.tls_relay import tls_relay

QUEUE = "interactive"


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:8]}:"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


@contextmanager
def connected(url: str, prefix: str) -> Iterator[CeleryJobQueue]:
    """A queue whose every part uses *url*."""
    app = connect_celery(url, prefix=prefix)
    try:
        with connect_redis(url) as client:
            yield CeleryJobQueue(app, client, prefix=prefix)
    finally:
        app.close()


def port_of(valkey: ValkeyServer) -> int:
    port = urlsplit(valkey.url).port
    assert port is not None
    return port


def secret_of(valkey: ValkeyServer) -> str:
    return urlsplit(valkey.url).netloc.rpartition("@")[0] + "@"


def test_messages_go_over_tls_with_a_checked_certificate(
    valkey: ValkeyServer, prefix: str, authority: trustme.CA, ca_file: Path
) -> None:
    with tls_relay(port_of(valkey), authority) as relay:
        url = f"rediss://{secret_of(valkey)}127.0.0.1:{relay.port}/0?ssl_ca_certs={ca_file}"
        with connected(url, prefix) as queue:
            queue.enqueue("job-1", queue=QUEUE)
            assert queue.enqueued_ids(QUEUE) == {"job-1"}
        assert relay.clients[True] >= 2, "one for the message, and one that reads it"
        assert relay.clients[False] == 0


def test_a_certificate_of_a_stranger_is_refused_for_records_and_for_messages(
    valkey: ValkeyServer, prefix: str, authority: trustme.CA
) -> None:
    with tls_relay(port_of(valkey), authority) as relay:
        url = f"rediss://{secret_of(valkey)}127.0.0.1:{relay.port}/0"
        with connected(url, prefix) as queue:
            with pytest.raises(Unavailable):
                queue.enqueue("job-1", queue=QUEUE)
            with pytest.raises(Unavailable):
                queue.enqueued_ids(QUEUE)
    with connect_redis(valkey.url) as client:
        assert client.exists(prefix + QUEUE) == 0


def test_sentinels_are_asked_over_tls_and_the_user_logs_in_to_their_master(
    tmp_path: Path, prefix: str, authority: trustme.CA, ca_file: Path
) -> None:
    folders = [tmp_path / name for name in ("master", "sentinel")]
    for folder in folders:
        folder.mkdir()
    with running_server(folders[0]) as master, tls_relay(master, authority) as near_master:
        with redis.Redis(port=master) as admin:
            admin.execute_command("ACL", "SETUSER", "kammerton", "on", ">p@ss/word", "~*", "&*", "+@all")
        conf = folders[1] / "sentinel.conf"
        conf.write_text(f"sentinel monitor mine 127.0.0.1 {near_master.port} 1\n")
        with (
            running_server(folders[1], str(conf), "--sentinel") as sentinel,
            tls_relay(sentinel, authority) as near_sentinel,
        ):
            with redis.Redis(port=sentinel) as admin:
                admin.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "~*", "&*", "+@all")
            url = (
                f"sentinels://kammerton:p%40ss%2Fword@127.0.0.1:{near_sentinel.port}/0?master=mine"
                f"&sentinel_username=watcher&sentinel_password=secret&ssl_ca_certs={ca_file}"
            )
            with connected(url, prefix) as queue:
                queue.enqueue("job-1", queue=QUEUE)
                assert queue.enqueued_ids(QUEUE) == {"job-1"}
                with redis.Redis(port=master, decode_responses=True) as admin:
                    users = {each["user"] for each in admin.client_list() if each["name"] == ""}
                    assert "kammerton" in users
                with redis.Redis(port=sentinel, decode_responses=True) as admin:
                    assert "watcher" in {each["user"] for each in admin.client_list()}
            assert near_sentinel.clients[True] >= 2
            assert near_master.clients[True] >= 2


def test_an_ipv6_address_reaches_redis(valkey: ValkeyServer, prefix: str, authority: trustme.CA) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as missing:
        pytest.skip(f"this machine has no IPv6: {missing}")
    with tls_relay(port_of(valkey), authority, host="::1") as relay:
        with connected(f"redis://{secret_of(valkey)}[::1]:{relay.port}/0", prefix) as queue:
            queue.enqueue("job-1", queue=QUEUE)
            assert queue.enqueued_ids(QUEUE) == {"job-1"}
        assert relay.clients[False] >= 2


def test_ipv6_addresses_of_sentinels_are_read_and_written_for_kombu() -> None:
    address = parse_sentinel_url("sentinel://me:s%40fe@[::1]:1,[2001:db8::2]/3?master=mine")
    assert address is not None
    assert address.sentinels == (("::1", 1), ("2001:db8::2", 26379))
    assert address.broker_url == ("sentinel://me:s%40fe@[::1]:1/3;sentinel://me:s%40fe@[2001:db8::2]:26379/3")
    assert address.tls == {}


def test_messages_go_to_another_redis_if_one_is_set(
    valkey: ValkeyServer, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server(tmp_path) as port:
        monkeypatch.setenv("KAMMERTON_REDIS_URL", valkey.url)
        monkeypatch.setenv("KAMMERTON_BROKER_URL", f"redis://127.0.0.1:{port}/0")
        monkeypatch.setenv("KAMMERTON_REDIS_PREFIX", prefix)
        services = connect(read_settings())
        services.check_supported()
        services.queue.enqueue("job-1", queue=QUEUE)
        assert services.queue.enqueued_ids(QUEUE) == {"job-1"}
        with redis.Redis(port=port) as broker, connect_redis(valkey.url) as records:
            assert broker.llen(prefix + QUEUE) == 1
            assert records.exists(prefix + QUEUE) == 0
        services.celery.close()


def test_a_cluster_is_refused_for_messages_too(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the default port of its bus is 10,000 higher, which not every port leaves room for
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with running_server(tmp_path, *cluster) as port:
        monkeypatch.setenv("KAMMERTON_REDIS_URL", valkey.url)
        monkeypatch.setenv("KAMMERTON_BROKER_URL", f"redis://127.0.0.1:{port}/0")
        services = connect(read_settings())
        with pytest.raises(UnsupportedServer):
            services.check_supported()
