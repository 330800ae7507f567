"""What a job costs Redis, and how much one Redis can take: `python -m benchmarks.redis_costs`.

Simulated workers take messages, start jobs, and record a real report, but do no audio work. Each depth of the
queue gets a Valkey of its own with `appendfsync always`. The depths take turns, so that other work of the
machine is spread over all of them. CPU is Valkey's own.

One client leaves Valkey idle between its commands, and each has a write to disk of its own. With
`--clients 4`, as many processes work at the same time, and Valkey writes for several at once.
"""

import argparse
import io
import json
import logging
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import BinaryIO
from unittest import mock

import numpy as np
import psutil
import redis
import soundfile
import structlog

from shared.domain.report import Report
from shared.services import Services, connect
from shared.settings import read_settings
from tests.support.factories import make_job
from tests.support.fakes.jobs import MemoryAudioStore
from tests.support.servers import ValkeyServer, running_valkey
from worker.analyze_files import analyze_file, prepare
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.run_attempt import AttemptConfig, AttemptRunner

QUEUE = "interactive"
LIST = f"kammerton:{QUEUE}"
SONG = b"song"
_ROUNDS = 5
_WARM_UP = 20
"""Jobs before the first that counts: scripts are loaded, connections are open."""


class OneSong(MemoryAudioStore):
    """Has the same song for every job, whichever process stored it."""

    def open(self, key: str) -> BinaryIO:  # noqa: ARG002 - as AudioStore has it
        return io.BytesIO(SONG)


class Client:
    """Sends jobs to a Redis, and does a worker's part of them."""

    def __init__(self, url: str, report: Report) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        self.redis = redis.Redis.from_url(url)
        with mock.patch.dict("os.environ", {"KAMMERTON_REDIS_URL": url}):
            self.services: Services = connect(read_settings())
        self.runner = AttemptRunner(
            jobs=self.services.jobs,
            audio=OneSong(),
            fetch=mock.Mock(),
            analyze_audio=lambda *_, **__: AnalysisResult(report=report, memory_peak_bytes=40_000_000),
            worker=lambda: "simulated",
            config=AttemptConfig(lease_seconds=60, retry_seconds=5, keep_audio=False),
        )

    def record(self) -> str:
        """Record one job, without a message."""
        job_id, now = uuid.uuid4().hex, time.time()
        times = {"created_at": now, "queued_at": now, "due_at": now}
        self.services.jobs.add(make_job(job_id, has_audio=True, **times))
        return job_id

    def submit(self) -> str:
        """Record and enqueue one job."""
        job_id = self.record()
        self.services.queue.enqueue(job_id, queue=QUEUE)
        return job_id

    def run_oldest(self) -> None:
        """Take a message as Celery does, and run its job."""
        message = self.redis.rpop(LIST)
        assert isinstance(message, bytes)
        ended = self.runner.run(json.loads(message)["headers"]["id"])
        assert ended is not None
        assert ended.state == "succeeded"

    def work(self, jobs: int) -> float:
        """Submit and run *jobs*. Returns the CPU seconds that this process needed."""
        before = time.process_time()
        for _ in range(jobs):
            self.submit()
            self.run_oldest()
        return time.process_time() - before

    def fill(self, waiting: int) -> None:
        """Let *waiting* jobs wait. Copies of one message are faster than Celery, and the disk may lag."""
        self.redis.config_set("appendfsync", "everysec")
        first = self.submit()
        message = self.redis.lindex(LIST, 0)
        assert isinstance(message, bytes)
        for start in range(1, waiting, 1000):
            ids = [self.record() for _ in range(start, min(waiting, start + 1000))]
            if ids:
                self.redis.lpush(LIST, *(message.replace(first.encode(), each.encode()) for each in ids))
        self.redis.config_set("appendfsync", "always")


class Depth:
    """A Valkey in which a number of jobs wait, and what each further one costs it."""

    def __init__(self, valkey: ValkeyServer, report: Report, *, waiting: int) -> None:
        self.client = Client(valkey.url, report)
        self.waiting = waiting
        self._process = psutil.Process(valkey.server.pid)
        self.client.fill(waiting)
        self.client.work(_WARM_UP)

    def numbers(self) -> dict[str, float]:
        """Counters of Redis, to be subtracted."""
        times, stats = self._process.cpu_times(), self.client.redis.info("all")
        commands = sum(entry["calls"] for name, entry in stats.items() if name.startswith("cmdstat_"))
        return {
            "cpu_ms": 1000 * (times.user + times.system),
            "commands": commands,
            "network_bytes": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
            "memory_bytes": stats["used_memory"],
            "written_bytes": stats["aof_current_size"],
        }


def measure(report: Report, depths: Sequence[int], *, jobs: int) -> list[dict[str, float]]:
    """The cost of each of *jobs*, for each number of others that wait. One client, and all depths in turn."""
    with ExitStack() as opened:
        simulations = [
            Depth(opened.enter_context(running_valkey()), report, waiting=waiting) for waiting in depths
        ]
        costs = [dict.fromkeys([*each.numbers(), "client_cpu_ms"], 0.0) for each in simulations]
        each_round = -(-jobs // _ROUNDS)
        for _ in range(_ROUNDS):
            for simulation, cost in zip(simulations, costs, strict=True):
                before = simulation.numbers()
                cost["client_cpu_ms"] += 1000 * simulation.client.work(each_round)
                for name, after in simulation.numbers().items():
                    cost[name] += after - before[name]
        return [
            {"waiting": depth.waiting, "clients": 1, **_each(cost, _ROUNDS * each_round)}
            for depth, cost in zip(simulations, costs, strict=True)
        ]


def measure_many(report: Report, *, waiting: int, clients: int, jobs: int) -> dict[str, float]:
    """The same for *clients* processes that work at once."""
    with running_valkey() as valkey:
        depth = Depth(valkey, report, waiting=waiting)
        share = -(-jobs // clients)
        with ProcessPoolExecutor(
            clients, get_context("spawn"), initializer=_start, initargs=(valkey.url, report)
        ) as processes:
            list(processes.map(_work, [_WARM_UP] * 4 * clients))
            before, started = depth.numbers(), time.monotonic()
            client_seconds = sum(processes.map(_work, [share] * clients))
            seconds, after = time.monotonic() - started, depth.numbers()
        cost = {name: after[name] - before[name] for name in before}
        total = _each(cost | {"client_cpu_ms": 1000 * client_seconds}, share * clients)
        reached = {
            "jobs_per_s": round(share * clients / seconds),
            "busy": round(cost["cpu_ms"] / 1000 / seconds, 2),
        }
        return {"waiting": waiting, "clients": clients, **total, **reached}


def _each(cost: dict[str, float], jobs: int) -> dict[str, float]:
    each = {name: round(number / jobs, 2) for name, number in cost.items()}
    return each | {"jobs_per_s_of_one_redis": round(1000 / each["cpu_ms"]) if each["cpu_ms"] else 0}


_client: Client | None = None


def _start(url: str, report: Report) -> None:
    global _client
    _client = Client(url, report)


def _work(jobs: int) -> float:
    assert _client is not None
    return _client.work(jobs)


def real_report() -> Report:
    """The report of half a minute of a chord, as long as that of any song."""
    prepare()
    seconds = np.arange(30 * 22_050) / 22_050
    tone = sum(np.sin(2 * np.pi * hz * seconds) for hz in (220, 277.2, 329.6, 440)) / 8
    file = io.BytesIO()
    soundfile.write(file, tone, 22_050, format="WAV")
    return analyze_file(file, start_seconds=0.0, window_seconds=60.0).report


def main() -> None:
    """Print one line of JSON for each depth, and for each number of clients above one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_costs", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[10, 1_000], help="jobs that wait")
    parser.add_argument("--clients", type=int, nargs="*", default=[], help="processes that work at once")
    parser.add_argument("--jobs", type=int, default=500, help="jobs that are measured at each depth")
    options = parser.parse_args()
    report = real_report()
    for line in measure(report, options.waiting, jobs=options.jobs):
        print(json.dumps(line), flush=True)
    for clients in options.clients:
        line = measure_many(report, waiting=options.waiting[0], clients=clients, jobs=options.jobs)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
