"""What one song costs the whole system: `python -m benchmarks.costs --files FOLDER [--songs 16]`.

Kammerton with two jobs at once, next to a Valkey and an S3 server of its own. The S3 server is reached
through a relay in this process, which counts requests and costs Kammerton nothing. CPU is user and system
time of each process and its children.
"""

import argparse
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.peers.songs import by_kind
from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server, ValkeyServer, running_s3, running_valkey
from tests.support.system import System, running_system

_REQUEST = re.compile(rb"^(GET|PUT|POST|DELETE|HEAD) \S+ HTTP/1\.1\r\n")
_IDLE_SECONDS = 10.0
_ROLES = {
    "api serve": "api",
    "worker run": "worker",
    "sandbox_server": "analysis",
    "background": "background",
}


class Counts:
    """Everything that is counted, to be subtracted."""

    def __init__(self, system: System, valkey: ValkeyServer, s3: S3Server, requests: Counter[str]) -> None:
        self._system, self._valkey, self._s3, self._requests = system, valkey, s3, requests
        self.redis_url = valkey.url
        self.redis = redis.Redis.from_url(valkey.url)

    def read(self) -> dict[str, float]:
        stats = self.redis.info("all")
        found: dict[str, float] = {}
        found["redis_commands"] = sum(
            each["calls"] for name, each in stats.items() if name.startswith("cmdstat_")
        )
        found["redis_memory_bytes"] = stats["used_memory"]
        found["redis_network_bytes"] = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
        found |= {f"s3_{method}": count for method, count in self._requests.items()}
        found["s3_requests"] = sum(self._requests.values())
        cpu: defaultdict[str, float] = defaultdict(float)
        processes = psutil.Process(self._system.launcher.pid).children(recursive=True)
        for process in processes:
            line = " ".join(process.cmdline())
            role = next((role for words, role in _ROLES.items() if words in line), "rest")
            cpu[role] += cpu_seconds(process)
        cpu["valkey"] = cpu_seconds(psutil.Process(self._valkey.server.pid))
        cpu["s3"] = cpu_seconds(psutil.Process(self._s3.server.pid))
        return found | {f"cpu_s_{role}": seconds for role, seconds in cpu.items()}


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and its ended children; 0 if it has ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@contextmanager
def counted_system(*, workers: int = 2) -> Iterator[tuple[System, Counts]]:
    """Kammerton with as many jobs at once, its servers, and what they count."""
    requests: Counter[str] = Counter()

    def count(asked: bytes, *_: Any) -> bool:
        if found := _REQUEST.match(asked):
            requests[found[1].decode()] += 1
        return False

    with running_valkey() as valkey, running_s3() as s3, s3_relay(s3, count) as address:
        environment = {
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "KAMMERTON_REDIS_URL": valkey.url,
            "KAMMERTON_S3_ENDPOINT_URL": address,
            "KAMMERTON_S3_REGION": s3.region,
        }
        with (
            tempfile.TemporaryDirectory(prefix="kammerton-bench-") as folder,
            running_system(Path(folder) / "data", None, "--workers", str(workers), **environment) as system,
        ):
            yield system, Counts(system, valkey, s3, requests)


def measure(songs: list[Path], *, count: int) -> dict[str, float]:
    """The cost of each of *count* uploads by eight clients, less what an idle system costs meanwhile."""
    with counted_system() as (system, counts):

        def ask(number: int) -> str:
            body = songs[number % len(songs)].read_bytes() + b"%d" % number
            location = system.submit(body, **{"Content-Type": "application/octet-stream"})
            return str(system.finished(location)["state"])

        for number in range(len(songs)):
            ask(-1 - number)
        idle = counts.read()
        time.sleep(_IDLE_SECONDS)
        before = counts.read()
        per_second = {name: (before[name] - idle.get(name, 0)) / _IDLE_SECONDS for name in before}
        started = time.monotonic()
        with ThreadPoolExecutor(8) as clients:
            states = list(clients.map(ask, range(count)))
        seconds, after = time.monotonic() - started, counts.read()
        assert states == ["succeeded"] * count
        cost = {
            name: round((after[name] - before.get(name, 0) - seconds * per_second.get(name, 0)) / count, 3)
            for name in after
        }
        return cost | {
            "songs_per_s": round(count / seconds, 2),
            "redis_connections": counts.redis.info("clients")["connected_clients"],
            "redis_commands_idle_per_s": round(per_second["redis_commands"], 1),
        }


def main() -> None:
    """Print one line of JSON for each kind of file in the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of songs")
    parser.add_argument("--songs", type=int, default=16, help="uploads of each kind")
    options = parser.parse_args()
    for kind, songs in by_kind(options.files).items():
        print(json.dumps({"kind": kind} | measure(songs, count=options.songs)), flush=True)


if __name__ == "__main__":
    main()
