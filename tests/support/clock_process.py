"""A process that starts jobs and rescues them, for tests that shift its clock. Commands come from stdin."""

import os
import sys
import time

from shared.clock import store_time, use_clock
from shared.observability.logs import configure_logs
from shared.redis.client import connect_redis
from shared.redis.clock import RedisClock
from shared.redis.jobs.store import RedisJobStore
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobQueue
from worker.maintenance.rescuer import Rescuer

LEASE_SECONDS = 120.0


def main() -> None:
    configure_logs(log_format="console", log_level="INFO")
    client = connect_redis(os.environ["REDIS_URL"])
    use_clock(RedisClock(client).now)
    jobs = RedisJobStore(client, prefix=os.environ["PREFIX"])
    rescuer = Rescuer(
        jobs=jobs,
        audio=MemoryAudioStore(),
        queue=MemoryJobQueue(),
        keep_audio=False,
        lease_seconds=LEASE_SECONDS,
        retry_seconds=5,
    )
    for line in sys.stdin:
        command, _, job_id = line.strip().partition(" ")
        match command:
            case "start":
                jobs.change(
                    job_id, lambda job: job.start(worker="w", now=store_time(), lease_seconds=LEASE_SECONDS)
                )
            case "renew":
                jobs.change(
                    job_id, lambda job: job.renew_lease(1, now=store_time(), lease_seconds=LEASE_SECONDS)
                )
            case "rescue":
                rescuer.run_once()
        sys.stdout.write(f"{time.time()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
