"""The API alone in a real process, before real servers: for what uploads do to it."""

import os
import socket
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from local.lifeline import Lifeline
from local.ports import HOST, Ports
from local.processes import Command
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobQuery, JobStore
from shared.ports.uploads import UploadRegistry
from shared.redis.client import connect_redis
from shared.redis.heartbeats import RedisUploadRegistry
from shared.redis.jobs.store import RedisJobStore
from shared.s3.audio_store import S3AudioStore
from shared.s3.bucket import BucketSetup
from shared.s3.client import connect_s3
from tests.support.fakes.jobs import MemoryInstallationStore, MemoryJobQueue
from tests.support.maintenance import Maintenance
from tests.support.servers import S3Server, Server, ValkeyServer
from worker.maintenance.orphan_sweeper import OrphanSweeper, SweepLimits
from worker.maintenance.rescuer import Rescuer

_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""As in the Dockerfile."""


@dataclass
class Api:
    url: str
    port: int
    server: Server
    jobs: JobStore
    audio: AudioStore
    uploads: UploadRegistry

    def socket(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=30)

    def accepted(self) -> set[str]:
        """Ids of all recorded jobs."""
        found: set[str] = set()
        cursor = None
        while True:
            page = self.jobs.page(JobQuery(cursor=cursor, limit=200))
            found |= {job.id for job in page.jobs}
            cursor = page.cursor
            if cursor is None:
                return found

    def stored(self) -> set[tuple[str, bool]]:
        """Keys of everything in storage, and whether it is an unfinished upload."""
        everything = self.audio.list_older_than(before=time.time() + 1000)
        return {(found.key, found.multipart is not None) for found in everything}

    def rescued(self) -> set[tuple[str, bool]]:
        """What is in storage after the rescuer's round, as if a minute had passed."""
        rescuer = Rescuer(
            jobs=self.jobs,
            audio=self.audio,
            queue=MemoryJobQueue(),
            keep_audio=True,
            lease_seconds=15,
            retry_seconds=5,
        )
        sweeper = OrphanSweeper(
            jobs=self.jobs,
            audio=self.audio,
            uploads=self.uploads,
            installation=MemoryInstallationStore(),
            limits=SweepLimits(age_seconds=60, max_share=1.0),
        )
        Maintenance(rescuer=rescuer, sweeper=sweeper).run_once(now=time.time() + 100)
        return self.stored()


@contextmanager
def running_api(valkey: ValkeyServer, s3: S3Server, **settings: str) -> Iterator[Api]:
    """Its own bucket and its own keys in Redis."""
    name = f"t{uuid.uuid4().hex[:8]}"
    ports = Ports(1, preferred=None)
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    env = keys | {
        "KAMMERTON_REDIS_URL": valkey.url,
        "KAMMERTON_REDIS_PREFIX": f"{name}:",
        "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
        "KAMMERTON_S3_BUCKET": name,
        "KAMMERTON_S3_REGION": s3.region,
        "KAMMERTON_S3_PART_BYTES": str(5 * 1024 * 1024),
        "KAMMERTON_ALLOW_ANONYMOUS": "true",
        "KAMMERTON_RATE_LIMITS_ENABLED": "false",
        **settings,
    }
    port = ports.numbers[0]
    url = f"http://{HOST}:{port}"
    argv = [sys.executable, "-m", "api", "serve", "--port", str(port)]
    lifeline = Lifeline()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAMMERTON_", "AWS_"))}
    command = Command("api", argv, env=clean | _MALLOC | env)
    server = Server(command, answers=lambda: _answers(url), lifeline=lifeline)
    client = connect_redis(valkey.url)
    with mock.patch.dict(os.environ, keys):
        s3_client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        store = S3AudioStore(
            s3_client,
            bucket=name,
            prefix="audio/",
            part_bytes=5 * 1024 * 1024,
        )
        BucketSetup(client=s3_client, bucket=name, prefix="audio/").prepare()
    try:
        server.start()
        yield Api(
            url,
            port,
            server,
            RedisJobStore(client, prefix=f"{name}:"),
            store,
            RedisUploadRegistry(client, prefix=f"{name}:"),
        )
        server.stop()
    finally:
        server.kill()
        lifeline.close()
        ports.release()
        client.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=1) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except OSError:
        return False
