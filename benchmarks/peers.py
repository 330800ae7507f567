"""Kammerton next to the endpoints that it replaces: `python -m benchmarks.peers --files FOLDER [--rounds 3]`.

All systems run in turn, A B A B, with the same songs. Every upload has other bytes, so no report is reused.
CPU is user and system time of all processes of a system, memory the sum of their proportional sizes (Pss).
README.md says how to read the numbers.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.costs import cpu_seconds
from tests.support.memory_cgroup import memory_cgroup

ROOT = Path(__file__).parents[1]
_COMPARED = ("songs_per_s", "cpu_s_per_song", "alone_s", "idle_mb", "peak_mb")
FINAL = {"succeeded", "failed", "dead", "canceled"}


@dataclass(frozen=True)
class Answer:
    """One song from upload to result."""

    succeeded: bool
    seconds: float


class System:
    """One system: Kammerton, or one function of benchmarks/peer_endpoints.py."""

    def __init__(self, name: str, *, limit_bytes: int = 0) -> None:
        """Start it and wait until it serves."""
        self.name = name
        self._opened = ExitStack()
        group = self._opened.enter_context(memory_cgroup(limit_bytes)) if limit_bytes else None
        self._group = group
        self._folder = Path(tempfile.mkdtemp(prefix="kammerton-bench-"))
        self._process = subprocess.Popen(
            [*(group.join if group else ()), sys.executable, *self._command()],
            cwd=ROOT,
            env=os.environ | {"KAMMERTON_REUSE_REPORTS": "false", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._is_kammerton:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            assert line.startswith("ready "), "it did not start"
            self.port = int(line.rpartition(":")[2])
        else:
            _wait_for(self.port)

    @property
    def _is_kammerton(self) -> bool:
        return self.name.startswith("kammerton")

    def _command(self) -> list[str]:
        if self._is_kammerton:
            children = "1" if self.name.endswith("one-child") else "2"
            size = ["--small"] if self.name.endswith("small") else ["--workers", children]
            return ["-m", "local", "--port", "0", "--data-dir", str(self._folder / "data"), *size]
        self.port = _free_port()
        app = f"benchmarks.peer_endpoints:{self.name}"
        return ["-m", "uvicorn", app, "--port", str(self.port), "--log-level", "warning"]

    def _processes(self) -> list[psutil.Process]:
        launcher = psutil.Process(self._process.pid)
        return [launcher, *launcher.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time of all processes, with those that have ended."""
        return sum(map(cpu_seconds, self._processes()))

    def pss_bytes(self) -> int:
        """Memory of all processes; what they share counts once."""
        total = 0
        for process in self._processes():
            with suppress(psutil.Error):  # it ended meanwhile
                total += process.memory_full_info().pss
        return total

    def killed(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return self._group.killed() if self._group else 0

    def ask(self, song: Path) -> Answer:
        """Upload a song, with other bytes each time, and wait for its result."""
        body = song.read_bytes() + os.urandom(16)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        started = time.monotonic()
        raw = {"Content-Type": "application/octet-stream"}
        if self._is_kammerton:
            job = _exchange(connection, "POST", f"/v1/jobs?filename={song.name}", body, raw)
            while job["state"] not in FINAL:
                job = _exchange(connection, "GET", f"/v1/jobs/{job['id']}?wait=30", b"", {})
            return Answer(job["state"] == "succeeded", time.monotonic() - started)
        found = _exchange(connection, "POST", "/upload", body, raw)
        return Answer("dominant_hz" in found, time.monotonic() - started)

    def stop(self) -> None:
        """Stop it and remove its data."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._opened.close()


def measure(system: System, songs: Sequence[Path], *, clients: int, count: int) -> dict[str, Any]:
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
        "killed": system.killed(),
        "load": round(os.getloadavg()[0], 1),
    }


def compare(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The medians of each kind of file and system, and their ratios to those of the last system."""
    reference = results[-1]["system"]
    medians: dict[tuple[str, str], dict[str, float]] = {}
    for kind, system in dict.fromkeys((each["kind"], each["system"]) for each in results):
        rounds = [each for each in results if (each["kind"], each["system"]) == (kind, system)]
        medians[kind, system] = {name: statistics.median(each[name] for each in rounds) for name in _COMPARED}
    return [
        {
            "kind": kind,
            "system": system,
            "median": found,
            f"over_{reference}": {
                name: round(found[name] / (medians[kind, reference][name] or 1), 2) for name in _COMPARED
            },
        }
        for (kind, system), found in medians.items()
    ]


def main() -> None:
    """Print one line of JSON for each run, then one for each kind of file and system."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of songs: MP3 and WAV apart")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--songs", type=int, default=16, help="uploads of each kind in each round")
    parser.add_argument("--limit-mb", type=int, default=0, help="memory limit of each system; 0: none")
    parser.add_argument(
        "--systems",
        default="kammerton,first_minute",
        help="the last one is the reference; also kammerton-one-child, kammerton-small, whole_file",
    )
    options = parser.parse_args()
    results = []
    for suffix in (".mp3", ".wav"):
        songs = sorted(options.files.rglob(f"*{suffix}"))
        for name in options.rounds * options.systems.split(",") if songs else ():
            system = System(name, limit_bytes=options.limit_mb << 20)
            try:
                found = measure(system, songs, clients=options.clients, count=options.songs)
            finally:
                system.stop()
            results.append({"kind": suffix[1:]} | found)
            print(json.dumps(results[-1]), flush=True)
    for line in compare(results):
        print(json.dumps(line))


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
