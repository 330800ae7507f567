import socket
import uuid
from collections.abc import Iterator

import pytest

from shared.errors import Unavailable
from shared.redis.client import connect_redis
from shared.redis.jobs.store import RedisJobStore
from tests.support.factories import make_job
from tests.support.servers import ValkeyServer


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_calls_to_a_redis_that_is_away_are_told(nobody: int) -> None:
    told: list[str] = []
    client = connect_redis(f"redis://127.0.0.1:{nobody}/0", on_error=lambda: told.append("x"))
    jobs = RedisJobStore(client, prefix="x:")
    for call in (jobs.check, lambda: jobs.backlog("interactive"), lambda: jobs.add(make_job())):
        with pytest.raises(Unavailable):
            call()
    assert len(told) == 3
    client.close()


def test_calls_that_go_well_are_not(valkey: ValkeyServer) -> None:
    told: list[str] = []
    client = connect_redis(valkey.url, on_error=lambda: told.append("x"))
    client.script_flush()
    jobs = RedisJobStore(client, prefix=f"t{uuid.uuid4().hex[:8]}:")
    jobs.add(make_job())
    jobs.change("job-1", lambda job: job.start(worker="w", now=1.0, lease_seconds=1))
    jobs.remove("job-1")
    assert told == []
    client.close()
