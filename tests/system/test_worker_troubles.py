"""What the machine and our storage do to a worker costs no job an attempt, and no healthy worker its life."""

import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from shared.domain.job import Job
from tests.support.audio_files import audio_file
from tests.support.exhaustion import Exhaust, no_more_files, no_more_processes
from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server, ValkeyServer
from tests.support.worker_process import burnt_attempts, running_worker
from tests.system.test_faults import LONG

SONG = audio_file("wav", seconds=4.0)
SLOW_SONG = audio_file("wav", seconds=1.7)
"""Two at once take a minute at 10 kB/s, and a watchdog that sees no progress kills after 40 s."""
JOBS = 12
READY = "ready."
RELEASED = "worker_slowed_down"


def test_deploys_burn_no_attempt(valkey: ValkeyServer, s3: S3Server) -> None:
    deploys = 10 if LONG in os.environ else 2
    # no grace: each deploy meets running jobs
    with running_worker(valkey, s3, settings={"KAMMERTON_SHUTDOWN_GRACE_SECONDS": "0"}) as worker:
        sent = []
        for number in range(1, deploys + 1):
            worker.until_logged(READY, count=number)
            sent += [worker.submit("song", SONG) for _ in range(JOBS)]
            worker.until_logged("attempt_started", count=len(sent) - JOBS + 1)
            worker.server.stop(patience_seconds=120)
            worker.server.start()
        report(f"{deploys} deploys", [worker.finished(job_id) for job_id in sent])


@pytest.mark.parametrize("exhausted", [no_more_processes, no_more_files])
def test_an_exhausted_machine_burns_no_attempt(
    valkey: ValkeyServer, s3: S3Server, exhausted: Exhaust
) -> None:
    # the pool has to replace its children meanwhile
    with running_worker(valkey, s3, settings={"KAMMERTON_WORKER_JOBS_PER_CHILD": "2"}) as worker:
        worker.until_logged(READY)
        first = worker.submit("song", SONG)
        worker.finished(first)
        pid = worker.server.pid
        with ExitStack() as stack:
            try:
                stack.enter_context(exhausted(worker.processes()))
            except OSError as refused:
                pytest.skip(f"this machine can't be exhausted: {refused}")
            sent = [worker.submit("song", SONG) for _ in range(JOBS)]
            worker.until_logged(RELEASED, count=2)
        report(exhausted.__name__, [worker.finished(job_id) for job_id in sent])
        assert worker.server.pid == pid
        assert psutil.pid_exists(pid)


def test_slow_storage_burns_no_attempt_and_kills_no_worker(valkey: ValkeyServer, s3: S3Server) -> None:
    settings = {
        "KAMMERTON_JOB_TIMEOUT_SECONDS": "15",
        "KAMMERTON_SOURCE_TIMEOUT_SECONDS": "1",
        "KAMMERTON_WORKER_STALL_TIMEOUT_SECONDS": "17",
    }
    with (
        slow_s3(s3, bytes_per_second=10_000) as url,
        running_worker(valkey, s3, settings=settings | {"KAMMERTON_S3_ENDPOINT_URL": url}) as worker,
    ):
        worker.until_logged(READY)
        pid = worker.server.pid
        sent = [worker.submit("song", SLOW_SONG) for _ in range(3)]
        report("storage at 10 kB/s", [worker.finished(job_id) for job_id in sent])
        assert psutil.pid_exists(pid)
        assert not [line for line in worker.server.lines if "stalled_worker_killed" in line]


def report(trouble: str, jobs: Sequence[Job]) -> None:
    """Print what it cost, and require that it cost nothing."""
    burnt = burnt_attempts(jobs)
    states = Counter(str(job.state) for job in jobs)
    released = sum(job.attempts_allowed - 3 for job in jobs)
    print(f"\n{trouble}: attempts burnt {burnt}, given back {released}, jobs {dict(states)}")
    assert set(states) == {"succeeded"}
    assert burnt == 0


@contextmanager
def slow_s3(storage: S3Server, *, bytes_per_second: float) -> Iterator[str]:
    """A way to our storage that all reads of audio share."""
    one_at_a_time = threading.Lock()

    def throttle(asked: bytes, client: socket.socket, server: socket.socket) -> bool:
        if not (asked.startswith(b"GET /") and b"/audio/" in asked.split(b"\r\n", 1)[0]):
            return False
        server.sendall(asked)
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for source, target in ((client, server), (server, client)):
                if source not in ready:
                    continue
                if not (data := source.recv(2048)):
                    return True
                if source is server:
                    with one_at_a_time:
                        time.sleep(len(data) / bytes_per_second)
                target.sendall(data)

    with s3_relay(storage, throttle) as url:
        yield url
