import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from local.valkey import find_binary
from shared.celery_queue import CeleryJobQueue, connect_celery
from shared.errors import Unavailable
from shared.redis.client import check_durability, connect_redis
from shared.redis.jobs.store import RedisJobStore
from shared.redis.sentinel import parse_sentinel_url
from tests.support.factories import make_job
from tests.support.servers import ValkeyServer


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://h:1/0"])
def test_a_plain_url_has_no_sentinel(url: str) -> None:
    assert parse_sentinel_url(url) is None


def test_a_sentinel_address_names_sentinels_master_and_password() -> None:
    address = parse_sentinel_url("sentinel://:s%40fe@a:1,b/3?master=mine")
    assert address is not None
    assert address.sentinels == (("a", 1), ("b", 26379))
    assert (address.master, address.db, address.password) == ("mine", 3, "s@fe")


@pytest.mark.parametrize("url", ["sentinel://a:1/0", "sentinel://?master=x"])
def test_an_incomplete_sentinel_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="looks like"):
        parse_sentinel_url(url)


def test_the_embedded_server_causes_no_warning(valkey: ValkeyServer) -> None:
    with connect_redis(valkey.url) as client:
        assert check_durability(client) == []


def test_a_server_that_can_lose_jobs_causes_a_warning(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, "--save", "", "--maxmemory-policy", "allkeys-lru") as port,
        connect_redis(f"redis://127.0.0.1:{port}/0") as client,
    ):
        sentences = check_durability(client)
    assert [sentence.split()[0] for sentence in sentences] == ["appendonly", "maxmemory-policy"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[int]:
    port = free_port()
    common = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    # the options stand last: a sentinel's configuration file comes first
    files = [option for option in options if option.endswith(".conf")]
    rest = [option for option in options if not option.endswith(".conf")]
    with subprocess.Popen(
        [str(find_binary()), *files, *common, *rest], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            until_it_answers(port, server)
            yield port
        finally:
            server.kill()


def until_it_answers(port: int, server: "subprocess.Popen[bytes]") -> None:
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            with redis.Redis(port=port) as client:
                client.ping()
            return
        except redis.ConnectionError:
            time.sleep(0.02)


def test_jobs_and_messages_go_to_the_master_that_the_sentinels_name(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    with (
        running_server(first) as master,
        running_server(second, "--replicaof", f"127.0.0.1 {master}") as replica,
    ):
        conf = third / "sentinel.conf"
        conf.write_text(
            f"sentinel monitor mine 127.0.0.1 {master} 1\n"
            "sentinel down-after-milliseconds mine 500\nsentinel failover-timeout mine 2000\n"
        )
        with running_server(third, str(conf), "--sentinel") as port:
            url = f"sentinel://127.0.0.1:{port}/0?master=mine"
            client = connect_redis(url)
            app = connect_celery(url, prefix="t:")
            jobs = RedisJobStore(client, prefix="t:")
            queue = CeleryJobQueue(app, client, prefix="t:")
            jobs.add(make_job())
            queue.enqueue("job-1", queue="interactive")
            with redis.Redis(port=master) as old:
                assert old.llen("t:interactive") == 1
                old.wait(1, 5000)
                fail_over(port)
            assert jobs.get("job-1").id == "job-1"
            with redis.Redis(port=replica) as new:
                while new.llen("t:interactive") != 2:  # the rescuer rings until it is heard
                    with contextlib.suppress(Unavailable):
                        queue.enqueue("job-2", queue="interactive")
                    time.sleep(0.2)
            app.close()
            client.close()


def fail_over(sentinel_port: int) -> None:
    """Back when the sentinel has named another master."""
    with redis.Redis(port=sentinel_port) as sentinel:

        def ask(*words: str) -> Any:
            return sentinel.execute_command("SENTINEL", *words, "mine")

        while not ask("REPLICAS"):
            time.sleep(0.1)
        before = ask("GET-MASTER-ADDR-BY-NAME")
        ask("FAILOVER")
        while ask("GET-MASTER-ADDR-BY-NAME") == before:
            time.sleep(0.1)
