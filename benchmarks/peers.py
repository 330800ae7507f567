"""Kammerton next to the endpoints that it replaces: `python -m benchmarks.peers --files FOLDER [--rounds 3]`.

All systems run in turn, A B A B, each in a control group of its own (version 1, so as root on Linux), with
the same songs. Every upload has other bytes, so no report is reused. CPU is the group's own count, memory
the sum of the proportional sizes (Pss) of its processes. README.md says how to read the numbers.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CGROUPS = Path("/sys/fs/cgroup")
FINAL = {"succeeded", "failed", "dead", "canceled"}


@dataclass(frozen=True)
class Answer:
    """One song from upload to result."""

    succeeded: bool
    seconds: float


class System:
    """One system in its control group: Kammerton, or one function of benchmarks/peer_endpoints.py."""

    def __init__(self, name: str, *, limit_bytes: int) -> None:
        self.name = name
        self._group = f"bench-{uuid.uuid4().hex[:8]}"
        for kind in ("cpuacct", "memory"):
            (CGROUPS / kind / self._group).mkdir()
        if limit_bytes:
            (CGROUPS / "memory" / self._group / "memory.limit_in_bytes").write_text(str(limit_bytes))
        self._folder = Path(tempfile.mkdtemp(prefix="kammerton-bench-"))
        if name.startswith("kammerton"):
            small = ["--small"] if name.endswith("small") else ["--workers", "2"]
            command = ["-m", "local", "--port", "0", "--data-dir", str(self._folder / "data"), *small]
        else:
            self.port = _free_port()
            app = f"benchmarks.peer_endpoints:{name}"
            command = ["-m", "uvicorn", app, "--port", str(self.port), "--log-level", "warning"]
        join = "".join(
            f"echo $$ > {CGROUPS}/{kind}/{self._group}/cgroup.procs; " for kind in ("cpuacct", "memory")
        )
        self._process = subprocess.Popen(
            ["sh", "-c", join + 'exec "$@"', "sh", sys.executable, *command],
            cwd=ROOT,
            env=os.environ | {"KAMMERTON_REUSE_REPORTS": "false", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if name.startswith("kammerton"):
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            assert line.startswith("ready "), "it did not start"
            self.port = int(line.rpartition(":")[2])
        else:
            _wait_for(self.port)

    def cpu_seconds(self) -> float:
        return int((CGROUPS / "cpuacct" / self._group / "cpuacct.usage").read_text()) / 1e9

    def pss_bytes(self) -> int:
        total = 0
        for pid in (CGROUPS / "memory" / self._group / "cgroup.procs").read_text().split():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue  # it ended meanwhile
            found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
            total += int(found.group(1)) * 1024 if found else 0
        return total

    def ask(self, song: Path) -> Answer:
        """Upload a song, with other bytes each time, and wait for its result."""
        body = song.read_bytes() + os.urandom(16)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        started = time.monotonic()
        raw = {"Content-Type": "application/octet-stream"}
        if self.name.startswith("kammerton"):
            job = _exchange(connection, "POST", f"/v1/jobs?filename={song.name}", body, raw)
            while job["state"] not in FINAL:
                job = _exchange(connection, "GET", f"/v1/jobs/{job['id']}?wait=30", b"", {})
            return Answer(job["state"] == "succeeded", time.monotonic() - started)
        found = _exchange(connection, "POST", "/upload", body, raw)
        return Answer("dominant_hz" in found, time.monotonic() - started)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
        for kind in ("cpuacct", "memory"):
            with contextlib.suppress(OSError):
                (CGROUPS / kind / self._group).rmdir()


def measure(system: System, songs: list[Path], *, clients: int, count: int) -> dict[str, Any]:
    for song in songs[:2]:
        system.ask(song)
    idle = system.pss_bytes()
    peak, stop = [idle], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            peak[0] = max(peak[0], system.pss_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    alone = statistics.median(system.ask(songs[number % len(songs)]).seconds for number in range(3))
    cpu, started = system.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(system.ask, [songs[number % len(songs)] for number in range(count)]))
    seconds, cpu = time.monotonic() - started, system.cpu_seconds() - cpu
    stop.set()
    watcher.join()
    good = sum(answer.succeeded for answer in answers)
    return {
        "system": system.name,
        "succeeded": f"{good}/{count}",
        "songs_per_s": round(good / seconds, 3),
        "cpu_s_per_song": round(cpu / max(good, 1), 3),
        "alone_s": round(alone, 3),
        "idle_mb": round(idle / 1e6),
        "peak_mb": round(peak[0] / 1e6),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of songs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--songs", type=int, default=16, help="uploads in each round")
    parser.add_argument("--limit-mb", type=int, default=0, help="memory limit of each system; 0: none")
    parser.add_argument(
        "--systems", default="kammerton,first_minute", help="also kammerton-small, whole_file"
    )
    options = parser.parse_args()
    songs = sorted(path for path in options.files.iterdir() if path.suffix in {".mp3", ".wav"})
    for _ in range(options.rounds):
        for name in options.systems.split(","):
            system = System(name, limit_bytes=options.limit_mb << 20)
            try:
                print(
                    json.dumps(measure(system, songs, clients=options.clients, count=options.songs)),
                    flush=True,
                )
            finally:
                system.stop()


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]
) -> dict[str, Any]:
    connection.request(method, path, body or None, headers)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it did not start")


if __name__ == "__main__":
    main()
