"""What a job costs Redis, and how much one Redis can take: `python -m benchmarks.redis_costs`.

Simulated workers take messages, start jobs, and record a real report, but do no audio work. Each depth of the
queue gets a Valkey of its own with `appendfsync always`. CPU is Valkey's own.

Caveat: one client, so Valkey writes its file for every command. With many clients it writes for several at
once, which costs less per job.
"""

import argparse
import io
import json
import time
import uuid
from unittest import mock

import numpy as np
import psutil
import redis
import soundfile

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
SONG = b"song"


class Simulation:
    """Jobs from upload to result in one real Redis."""

    def __init__(self, valkey: ValkeyServer, report: Report) -> None:
        self.redis = redis.Redis.from_url(valkey.url)
        self.process = psutil.Process(valkey.server.pid)
        with mock.patch.dict("os.environ", {"KAMMERTON_REDIS_URL": valkey.url}):
            self.services: Services = connect(read_settings())
        self.audio = MemoryAudioStore()
        self.runner = AttemptRunner(
            jobs=self.services.jobs,
            audio=self.audio,
            fetch=mock.Mock(),
            analyze_audio=lambda *_, **__: AnalysisResult(report=report, memory_peak_bytes=40_000_000),
            worker=lambda: "simulated",
            config=AttemptConfig(lease_seconds=60, retry_seconds=5, keep_audio=False),
        )

    def submit(self) -> None:
        """Record and enqueue one job."""
        job_id, now = uuid.uuid4().hex, time.time()
        self.audio.objects[job_id] = (SONG, now)
        times = {"created_at": now, "queued_at": now, "due_at": now}
        self.services.jobs.add(make_job(job_id, has_audio=True, **times))
        self.services.queue.enqueue(job_id, queue=QUEUE)

    def run_oldest(self) -> None:
        """Take a message as Celery does, and run its job."""
        message = self.redis.rpop(f"kammerton:{QUEUE}")
        assert isinstance(message, bytes)
        ended = self.runner.run(json.loads(message)["headers"]["id"])
        assert ended is not None
        assert ended.state == "succeeded"

    def numbers(self) -> dict[str, float]:
        """Counters of Redis, to be subtracted."""
        times, stats = self.process.cpu_times(), self.redis.info("all")
        commands = sum(entry["calls"] for name, entry in stats.items() if name.startswith("cmdstat_"))
        return {
            "cpu_ms": 1000 * (times.user + times.system),
            "commands": commands,
            "network_bytes": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
            "memory_bytes": stats["used_memory"],
            "written_bytes": stats["aof_current_size"],
        }


def measure(report: Report, *, waiting: int, jobs: int) -> dict[str, float]:
    """The cost of each of *jobs* while *waiting* others wait."""
    with running_valkey() as valkey:
        simulation = Simulation(valkey, report)
        for _ in range(waiting):
            simulation.submit()
        for _ in range(20):  # scripts are loaded, connections are open
            simulation.submit()
            simulation.run_oldest()
        before, started = simulation.numbers(), time.process_time()
        for _ in range(jobs):
            simulation.submit()
            simulation.run_oldest()
        after, client = simulation.numbers(), time.process_time() - started
        cost = {name: round((after[name] - before[name]) / jobs, 2) for name in before}
        return {
            "waiting": waiting,
            **cost,
            "client_cpu_ms": round(1000 * client / jobs, 2),
            "jobs_per_s_of_one_redis": round(1000 / cost["cpu_ms"]) if cost["cpu_ms"] else 0,
        }


def real_report() -> Report:
    """The report of half a minute of a chord, as long as that of any song."""
    prepare()
    seconds = np.arange(30 * 22_050) / 22_050
    tone = sum(np.sin(2 * np.pi * hz * seconds) for hz in (220, 277.2, 329.6, 440)) / 8
    file = io.BytesIO()
    soundfile.write(file, tone, 22_050, format="WAV")
    return analyze_file(file, start_seconds=0.0, window_seconds=60.0).report


def main() -> None:
    """Print one line of JSON for each depth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_costs", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[10, 1_000], help="jobs that wait")
    parser.add_argument("--jobs", type=int, default=500, help="jobs that are measured at each depth")
    options = parser.parse_args()
    report = real_report()
    for waiting in options.waiting:
        print(json.dumps(measure(report, waiting=waiting, jobs=options.jobs)), flush=True)


if __name__ == "__main__":
    main()
