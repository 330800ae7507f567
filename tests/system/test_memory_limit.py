"""The worker in a control group of 512 MiB: no file makes the kernel kill it, honest or not."""

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.audio_files import audio_file
from tests.support.fault_injection import KINDS as SONGS
from tests.support.hostile_files import KINDS as HOSTILE
from tests.support.hostile_files import hostile_file
from tests.support.long_m4a import long_m4a
from tests.support.memory_cgroup import CannotLimitMemory, Group, memory_cgroup
from tests.support.servers import S3Server, ValkeyServer
from tests.support.system import running_system
from tests.support.worker_process import burnt_attempts, running_worker
from tests.system.test_faults import LONG

LIMIT_BYTES = 512 << 20
SONG_SECONDS = 70.0
COMPOSE = {
    "KAMMERTON_JOB_MEMORY_BYTES": str(120 << 20),
    "KAMMERTON_SOURCE_SPOOL_BYTES": str(12 << 20),
}
"""As docker-compose.yml sets them for a worker of 512 MiB with two children."""


@pytest.fixture
def group() -> Iterator[Group]:
    """A control group of 512 MiB, which ends after everything that a test started in it."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(memory_cgroup(LIMIT_BYTES))
        except CannotLimitMemory as refused:
            pytest.skip(str(refused))
        yield made


def test_a_worker_with_two_children_fits_512_mib_for_every_kind_of_file(
    group: Group, valkey: ValkeyServer, s3: S3Server
) -> None:
    files = [(kind, audio_file(kind, seconds=SONG_SECONDS)) for kind in SONGS]
    files += [(f"hostile: {kind}", hostile_file(kind)) for kind in HOSTILE]
    count = min(200, max(len(files), int(os.environ.get(LONG, "0"))))
    with running_worker(valkey, s3, within=group.join) as worker:
        sent = [files[number % len(files)] for number in range(count)]
        kinds = {worker.submit(kind, audio, attempts_allowed=6): kind for kind, audio in sent}
        ends = [worker.finished(job_id) for job_id in kinds]
        assert worker.server.pid in group.processes(), "the worker's main process did not survive"
        tally: Counter[str] = Counter()
        for job in ends:
            kind = kinds[job.id]
            tally[
                f"{kind.partition(':')[0]} {job.state} {job.problem.code if job.problem else ''}".strip()
            ] += 1
            allowed = {"succeeded", "failed"} if kind.startswith("hostile") else {"succeeded"}
            assert job.state in allowed, (kind, job)
        peak = f"{group.peak_bytes() >> 20} MiB with page cache"
        print(f"\n{count} jobs, peak {peak}, killed {group.killed()}: {dict(tally)}")
        assert group.killed() == 0, "the kernel had to kill"


def test_two_of_the_longest_files_at_once_fit_512_mib(
    group: Group, valkey: ValkeyServer, s3: S3Server
) -> None:
    longest = [
        (f"{hours} h, {frames} frames a chunk", long_m4a(hours=hours, frames_per_chunk=frames))
        for hours, frames in ((12, 1), (16, 1), (16, 20))
    ]
    with running_worker(valkey, s3, within=group.join, settings=COMPOSE) as worker:
        kinds = {worker.submit(kind, audio): kind for kind, audio in 2 * longest}
        ends = [worker.finished(job_id) for job_id in kinds]
        peaks = [line.memory_peak_bytes or 0 for job in ends for line in job.timeline]
        peak = f"{group.peak_bytes() >> 20} MiB with page cache, the largest job {max(peaks) >> 20} MiB"
        print(f"\n{len(ends)} jobs of up to 16 h, peak {peak}, killed {group.killed()}")
        assert group.killed() == 0, "the kernel had to kill"
        assert [job.state for job in ends] == ["succeeded"] * len(ends)
        assert burnt_attempts(ends) == 0


def test_the_small_profile_fits_512_mib_while_eight_clients_upload_songs(
    tmp_path: Path, group: Group, valkey: ValkeyServer, s3: S3Server
) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    elsewhere = {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "KAMMERTON_REDIS_URL": valkey.url,
        "KAMMERTON_REDIS_PREFIX": f"{name}:",
        "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
        "KAMMERTON_S3_BUCKET": name,
        "KAMMERTON_S3_REGION": s3.region,
    }
    second = audio_file("wav", seconds=10.0)
    song = audio_file("wav", seconds=10.0 * 21_000_000 / len(second))
    with running_system(tmp_path / "data", group.folder, "--small", **elsewhere) as system:

        def upload_twice(number: int) -> list[str]:
            tags = [f"{number}-{again}".encode() for again in range(2)]
            locations = [system.submit(song + tag, **{"Content-Type": "audio/wav"}) for tag in tags]
            return [system.finished(location)["state"] for location in locations]

        with ThreadPoolExecutor(8) as clients:
            states = [state for ended in clients.map(upload_twice, range(8)) for state in ended]
        print(f"\npeak {group.peak_bytes() >> 20} MiB with page cache, killed {group.killed()}")
        assert states == ["succeeded"] * 16
        assert group.killed() == 0, "the kernel had to kill"
