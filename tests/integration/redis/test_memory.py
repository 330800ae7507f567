"""What a finished job takes of Redis. docs/operations.md has the numbers."""

import pytest

from benchmarks.redis_memory import bytes_per_job
from shared.redis.client import connect_redis
from tests.support.servers import running_valkey


@pytest.mark.parametrize(("webhook", "most"), [(False, 3900), (True, 5700)])
def test_a_finished_job_takes_half_of_the_memory_that_it_took_in_version_0_1(
    webhook: bool, most: int
) -> None:
    """It took 7,300 and 10,900 bytes. The limits leave room for the steps in which Redis allocates."""
    with running_valkey() as server, connect_redis(server.url) as client:
        assert bytes_per_job(client, 300, webhook=webhook) < most
