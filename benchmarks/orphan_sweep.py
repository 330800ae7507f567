"""What a sweep for orphaned audio costs: `python -m benchmarks.orphan_sweep --objects 1000000`.

Valkey, the job records, and the S3 client with its paginator and parser are real. The pages of the list
are made here: a million real objects would take hours to store. `--stored 20000` also sweeps so many real
objects, in the S3 server of `make run`.
"""

import argparse
import io
import json
import logging
import resource
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import psutil
import structlog
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders

from shared.redis.client import connect_redis
from shared.redis.heartbeats import RedisUploadRegistry
from shared.redis.installation import RedisInstallationStore
from shared.redis.jobs.store import RedisJobStore
from shared.s3.audio_store import S3AudioStore
from shared.s3.bucket import BucketSetup
from shared.s3.client import connect_s3
from tests.support.factories import make_job
from tests.support.servers import S3Server, ValkeyServer, running_s3, running_valkey
from worker.maintenance.orphan_sweeper import OrphanSweeper, SweepLimits

BUCKET, PREFIX = "sweep", "audio/"
_PAGE = 1000
_PIECES = '<?xml version="1.0"?><ListBucketResult><Name>sweep</Name><Prefix>audio/</Prefix>'


class Pages:
    """Answers the client's list requests. Object *n* belongs to job *n* modulo the number of jobs."""

    def __init__(self, jobs: Sequence[str], *, objects: int) -> None:
        self._jobs = jobs
        self._objects = objects

    def answer(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """One page of `ListObjectsV2`, with a token for the next."""
        token = parse_qs(urlsplit(request.url).query).get("continuation-token", ["0"])[0]
        first = int(token)
        end = min(first + _PAGE, self._objects)
        contents = "".join(
            f"<Contents><Key>{PREFIX}{self._jobs[n % len(self._jobs)]}.{n}</Key>"
            "<LastModified>2099-01-01T00:00:00.000Z</LastModified>"
            "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>5000000</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(first, end)
        )
        more = end < self._objects
        rest = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        body = f"{_PIECES}<IsTruncated>{str(more).lower()}</IsTruncated>{rest}{contents}</ListBucketResult>"
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(body.encode()))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


class Sweep:
    """A sweeper over a Redis and a bucket of its own, both empty at first."""

    def __init__(self, valkey: ValkeyServer, s3: S3Server) -> None:
        self.client = connect_redis(valkey.url)
        self._valkey = psutil.Process(valkey.server.pid)
        keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
        with mock.patch.dict("os.environ", keys):
            self.s3 = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        name = f"{BUCKET}-{uuid.uuid4().hex[:8]}"
        BucketSetup(client=self.s3, bucket=name, prefix=PREFIX).prepare()
        self.audio = S3AudioStore(self.s3, bucket=name, prefix=PREFIX, part_bytes=5 << 20)
        self.jobs = RedisJobStore(self.client, prefix=f"{name}:")
        self.sweeper = OrphanSweeper(
            jobs=self.jobs,
            audio=self.audio,
            uploads=RedisUploadRegistry(self.client, prefix=f"{name}:"),
            installation=RedisInstallationStore(self.client, prefix=f"{name}:"),
            limits=SweepLimits(age_seconds=0.0, max_share=0.2),
        )

    def add_jobs(self, number: int) -> list[str]:
        """Record jobs that have audio."""
        ids = sorted(uuid.uuid4().hex for _ in range(number))
        now = time.time()
        for job_id in ids:
            self.jobs.add(make_job(job_id, has_audio=True, created_at=now, queued_at=now, due_at=now))
        return ids

    def store(self, ids: Sequence[str]) -> None:
        """Store a small object for each."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: self.audio.put(key, b"song", media_type="audio/wav"), ids))

    def run(self, name: str, *, objects: int) -> dict[str, object]:
        """Sweep once. Times of this process and of Valkey; memory of this process at most so far."""
        memory, cpu, valkey = _peak_mb(), time.process_time(), self._valkey.cpu_times()
        began = time.monotonic()
        deleted = self.sweeper.run_once(now=time.time() + 10**10)
        seconds, after = time.monotonic() - began, self._valkey.cpu_times()
        return {
            "sweep": name,
            "objects": objects,
            "deleted": deleted,
            "seconds": round(seconds, 1),
            "cpu_s": round(time.process_time() - cpu, 1),
            "valkey_cpu_s": round(after.user + after.system - valkey.user - valkey.system, 1),
            "more_memory_mb": round(_peak_mb() - memory, 1),
        }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Print one line of JSON for each sweep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orphan_sweep", description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000, help="objects in the list that is made")
    parser.add_argument("--jobs", type=int, default=20_000, help="real records that they belong to")
    parser.add_argument("--stored", type=int, default=0, help="real objects of another sweep")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with running_valkey(None, "--appendfsync", "everysec") as valkey, running_s3() as s3:
        if options.stored:
            sweep = Sweep(valkey, s3)
            ids = sweep.add_jobs(options.stored * 9 // 10)
            orphans = [uuid.uuid4().hex for _ in range(options.stored - len(ids))]
            sweep.store([*ids, *orphans])
            print(json.dumps(sweep.run("stored, a tenth orphaned", objects=options.stored)), flush=True)
        sweep = Sweep(valkey, s3)
        for name, jobs in (
            ("all needed", sweep.add_jobs(options.jobs)),
            ("none known, refused", [uuid.uuid4().hex]),
        ):
            sweep.s3.meta.events.unregister("before-send.s3.ListObjectsV2", unique_id="pages")
            pages = Pages(jobs, objects=options.objects)
            sweep.s3.meta.events.register("before-send.s3.ListObjectsV2", pages.answer, unique_id="pages")
            print(json.dumps(sweep.run(name, objects=options.objects)), flush=True)


if __name__ == "__main__":
    main()
