"""A job next to the bare loop of its own work: `python -m benchmarks.bare_loop --files FOLDER [--songs 8]`.

The bare loop decodes and analyzes local files in warm processes that do nothing else: what no service can
beat. Kammerton does the same songs, which wait in its queue before the clock starts. Both keep one core busy,
then two. Counted are the worker and its children, not the API, Redis, and S3.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.costs import Counts, counted_system
from benchmarks.peers.songs import by_kind
from shared.services import connect
from shared.settings import read_settings
from tests.support.system import System

QUEUE = "interactive"
_WINDOW_SECONDS = 60.0
_WORKER = ("cpu_s_worker", "cpu_s_analysis")


def bare_loop(songs: Sequence[Path], *, at_once: int, count: int) -> dict[str, float]:
    """CPU, wall and decoding seconds of a song, with as many processes at once."""
    with ProcessPoolExecutor(
        at_once, multiprocessing.get_context("spawn"), initializer=_prepare
    ) as processes:
        chosen = [[songs[number % len(songs)] for number in range(count)]] * at_once
        list(processes.map(_loop, [songs[:1]] * 4 * at_once))
        return _medians([each for found in processes.map(_loop, chosen) for each in found])


def _prepare() -> None:
    from worker.analyze_files import prepare

    prepare()


def _loop(songs: Sequence[Path]) -> list[dict[str, float]]:
    from worker.jobs.analyze_audio import analyze_audio

    found = []
    for song in songs:
        cpu, started = time.process_time(), time.perf_counter()
        with song.open("rb") as audio:
            report = analyze_audio(audio, start_seconds=None, window_seconds=_WINDOW_SECONDS)
        found.append(
            {
                "cpu_s": time.process_time() - cpu,
                "wall_s": time.perf_counter() - started,
                "decode_s": report.audio.decode_seconds,
            }
        )
    return found


def kammerton(songs: Sequence[Path], *, at_once: int, count: int) -> dict[str, float]:
    """The same of Kammerton with as many children. The worker's CPU is that of all jobs by their number."""
    with counted_system(workers=at_once) as (system, counts):
        for number in range(2 * at_once):
            system.finished(_submit(system, songs[0], number=-1 - number))
        with mock.patch.dict("os.environ", {"KAMMERTON_REDIS_URL": counts.redis_url}):
            queues = connect(read_settings()).worker_control
        queues.pause(QUEUE)
        waiting = [
            _submit(system, songs[number % len(songs)], number=number) for number in range(count * at_once)
        ]
        before = _worker_seconds(counts)
        queues.resume(QUEUE)
        jobs = [system.finished(location) for location in waiting]
        cpu = (_worker_seconds(counts) - before) / len(jobs)
        if any(job["state"] != "succeeded" for job in jobs):
            raise RuntimeError("A job did not succeed.")
        return {"cpu_s": cpu} | _medians([_times(job) for job in jobs])


def _submit(system: System, song: Path, *, number: int) -> str:
    body = song.read_bytes() + b"%d" % number
    return system.submit(body, **{"Content-Type": "application/octet-stream"})


def _worker_seconds(counts: Counts) -> float:
    found = counts.read()
    return sum(found[name] for name in _WORKER)


def _times(job: dict[str, Any]) -> dict[str, float]:
    started, finished = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return {
        "wall_s": (finished - started).total_seconds(),
        "decode_s": job["report"]["audio"]["decode_seconds"],
    }


def _medians(lines: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(line[name] for line in lines) for name in lines[0]}


def main() -> None:
    """Print one line of JSON for each kind of file and number of jobs at once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare_loop", description=__doc__)
    parser.add_argument("--files", type=Path, required=True, help="folder of songs")
    parser.add_argument("--songs", type=int, default=8, help="songs for each core")
    options = parser.parse_args()
    # for the processes of the loop: with threads, an MP3 takes six times as much CPU
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for kind, songs in by_kind(options.files).items():
        for at_once in (1, 2):
            bare = bare_loop(songs, at_once=at_once, count=options.songs)
            ours = kammerton(songs, at_once=at_once, count=options.songs)
            print(
                json.dumps(
                    {
                        "kind": kind,
                        "at_once": at_once,
                        "bare_loop": {name: round(number, 3) for name, number in bare.items()},
                        "kammerton": {name: round(number, 3) for name, number in ours.items()},
                        "over_bare_loop": {name: round(ours[name] / bare[name], 2) for name in bare},
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
