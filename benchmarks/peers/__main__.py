"""Kammerton next to the endpoints that it replaces: `python -m benchmarks.peers --files FOLDER`.

All systems run in turn, A B A B, with the same songs. Every upload has other bytes, so no report is reused.
CPU is user and system time of all processes of a system, memory the sum of their proportional sizes (Pss).
README.md says how to read the numbers.
"""

import argparse
import json
import os
import statistics
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.peers.songs import by_kind
from benchmarks.peers.systems import System

_COMPARED = ("songs_per_s", "songs_per_cpu_s", "cpu_s_per_song", "alone_s", "idle_mb", "peak_mb")
_LARGE_BYTES = 500_000_000
"""Files of this size are sent once and by one client."""


def measure(
    system: System, songs: Sequence[Path], *, clients: Sequence[int], count: int
) -> list[dict[str, Any]]:
    """One line for each number of clients. The first answers come from a system that has just started."""
    is_large = songs[0].stat().st_size >= _LARGE_BYTES
    rounds = [1] if is_large else clients
    if not is_large:
        for song in songs[:2]:
            system.ask(song)
    idle = system.pss_bytes()
    asked = [system.ask(songs[number % len(songs)]) for number in range(1 if is_large else 3)]
    alone = statistics.median(answer.seconds for answer in asked)
    lines = []
    for at_once in rounds:
        uploads = 1 if is_large else max(count, at_once)
        with _peak_bytes(system) as peak, ThreadPoolExecutor(at_once) as pool:
            cpu, started = system.cpu_seconds(), monotonic()
            answers = list(pool.map(system.ask, [songs[number % len(songs)] for number in range(uploads)]))
            seconds, cpu = monotonic() - started, system.cpu_seconds() - cpu
        good = sum(answer.succeeded for answer in answers)
        lines.append(
            {
                "system": system.name,
                "clients": at_once,
                "succeeded": f"{good}/{uploads}",
                "songs_per_s": round(good / seconds, 3),
                "songs_per_cpu_s": round(good / cpu, 3) if cpu else 0.0,
                "cpu_s_per_song": round(cpu / good, 3) if good else None,
                "alone_s": round(alone, 3) if all(answer.succeeded for answer in asked) else None,
                "idle_mb": round(idle / 1e6),
                "peak_mb": round(peak() / 1e6),
                "killed": system.killed(),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    return lines


@contextmanager
def _peak_bytes(system: System) -> Iterator[Any]:
    """The most memory that the system has while this is open."""
    peak, stop = [system.pss_bytes()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            peak[0] = max(peak[0], system.pss_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak[0]
    finally:
        stop.set()
        watcher.join()


def compare(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The medians of each kind of file, number of clients and system, and their ratios to the last system."""
    reference = results[-1]["system"]
    medians: dict[tuple[str, int, int, str], dict[str, float | None]] = {}
    for each in results:
        medians[_key(each)] = {
            name: _median([other[name] for other in results if _key(other) == _key(each)])
            for name in _COMPARED
        }
    return [
        {
            "kind": kind,
            "limit_mb": limit,
            "clients": clients,
            "system": system,
            "median": found,
            f"over_{reference}": {
                name: _ratio(found[name], medians[kind, limit, clients, reference][name])
                for name in _COMPARED
            },
        }
        for (kind, limit, clients, system), found in medians.items()
    ]


def _key(result: dict[str, Any]) -> tuple[str, int, int, str]:
    return result["kind"], result["limit_mb"], result["clients"], result["system"]


def _median(numbers: list[float | None]) -> float | None:
    """None if there was no answer to measure in one of the rounds."""
    known = [number for number in numbers if number is not None]
    return statistics.median(known) if len(known) == len(numbers) else None


def _ratio(number: float | None, other: float | None) -> float | None:
    return round(number / other, 2) if number is not None and other else None


def run(options: argparse.Namespace, folder: Path) -> None:
    results: list[dict[str, Any]] = []
    for kind, songs in by_kind(folder).items():
        for name in options.rounds * options.systems.split(","):
            system = System(name, limit_bytes=options.limit_mb << 20)
            try:
                lines = measure(system, songs, clients=options.clients, count=options.songs)
            finally:
                system.stop()
            for line in lines:
                results.append({"kind": kind, "limit_mb": options.limit_mb} | line)
                print(json.dumps(results[-1]), flush=True)
    for line in compare(results):
        print(json.dumps(line), flush=True)


def main() -> None:
    """Print one line of JSON for each run, then one for each kind of file, number of clients and system."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of MP3 and WAV files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[8], help="how many upload at once")
    parser.add_argument("--songs", type=int, default=16, help="uploads of each kind in each round")
    parser.add_argument("--limit-mb", type=int, default=0, help="memory limit of each system; 0: none")
    parser.add_argument(
        "--systems",
        default="kammerton,first_minute",
        help="the last one is the reference; also kammerton-one-child, kammerton-small, whole_file",
    )
    options = parser.parse_args()
    run(options, options.files)


if __name__ == "__main__":
    main()
