"""Many clients at once: uploads, pollers and event streams. `python -m benchmarks.load [--seconds 120]`.

Everything that `make run` starts, with two jobs at a time. Songs of a few seconds arrive at a fixed rate,
whatever the answers take. The same load runs twice: with busy workers, and with workers that operators have
drained, so that the ratio says what a full queue costs the API. README.md has the results.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import numpy as np
import psutil

from tests.support.audio_files import wav
from tests.support.system import System, running_system

SONG_SAMPLES = 16_000
QUEUED_AT_MOST = 1_000_000


@dataclass
class Seen:
    """What the clients of one phase saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    uploads: list[float] = field(default_factory=list)
    """Seconds from the first byte to the response."""
    peak_bytes: int = 0
    """Pss of the API's process."""


def song(number: int) -> bytes:
    """A WAV that no other number has."""
    noise = np.random.default_rng(number).uniform(-1.0, 1.0, (SONG_SAMPLES, 1))
    return wav(noise.astype(np.float32), rate=8_000)


async def run(
    url: str, api: psutil.Process, *, options: argparse.Namespace, numbers: "itertools.count[int]"
) -> Seen:
    """One phase."""
    seen, jobs = Seen(), ["none"]
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=400)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        ends_at = time.monotonic() + options.seconds

        async def upload() -> None:
            began = time.monotonic()
            try:
                response = await client.post(
                    "/v1/jobs", content=song(next(numbers)), headers={"Content-Type": "audio/wav"}
                )
            except httpx2.HTTPError as error:
                seen.statuses[f"upload {type(error).__name__}"] += 1
                return
            seen.uploads.append(time.monotonic() - began)
            seen.statuses[f"upload {response.status_code}"] += 1
            if response.status_code == 202:
                jobs.append(response.json()["id"])

        async def poll() -> None:
            await asyncio.sleep(random.uniform(0, 2))
            while time.monotonic() < ends_at:
                try:
                    response = await client.get(f"/v1/jobs/{random.choice(jobs[-500:])}")
                    seen.statuses[f"poll {response.status_code}"] += 1
                except httpx2.HTTPError as error:
                    seen.statuses[f"poll {type(error).__name__}"] += 1
                await asyncio.sleep(2)

        async def watch() -> None:
            while time.monotonic() < ends_at:
                await asyncio.sleep(1)
                try:
                    with suppress(TimeoutError):
                        async with (
                            asyncio.timeout(20),
                            client.stream("GET", f"/v1/events?job={jobs[-1]}") as response,
                        ):
                            seen.statuses[f"events {response.status_code}"] += 1
                            async for _ in response.aiter_lines():
                                pass
                except httpx2.HTTPError as error:
                    seen.statuses[f"events {type(error).__name__}"] += 1

        others = [asyncio.create_task(one()) for one in [poll] * options.pollers + [watch] * options.streams]
        uploads = set()
        began = time.monotonic()
        for number in range(options.seconds * options.uploads):
            await asyncio.sleep(max(0.0, began + number / options.uploads - time.monotonic()))
            uploads.add(asyncio.create_task(upload()))
            if number % options.uploads == 0:
                seen.peak_bytes = max(seen.peak_bytes, api.memory_full_info().pss)
        await asyncio.gather(*uploads, *others)
    return seen


def show(name: str, seen: Seen) -> float:
    """Print a phase. Returns the median of its uploads."""
    median = statistics.median(seen.uploads)
    worst = statistics.quantiles(seen.uploads, n=100)[-1]
    failed = sum(
        count for status, count in seen.statuses.items() if not status.split()[1].startswith(("2", "404"))
    )
    print(
        json.dumps(
            {
                "workers": name,
                "upload_p50_s": round(median, 4),
                "upload_p99_s": round(worst, 3),
                "api_peak_mb": round(seen.peak_bytes / 1e6),
                "failed": failed,
                "statuses": dict(sorted(seen.statuses.items())),
                "load": os.getloadavg()[0],
            }
        ),
        flush=True,
    )
    return median


def command_workers(system: System, action: str) -> None:
    """Drain all workers, or resume them."""
    password = {"password": "benchmark"}
    with httpx2.Client(base_url=system.client.base_url, headers={"Sec-Fetch-Site": "same-origin"}) as admin:
        admin.post("/admin/login", data=password)
        for worker in admin.get("/admin/api/now").json()["workers"]:
            admin.post(f"/admin/api/workers/{worker['name']}/{action}").raise_for_status()
    time.sleep(10)


def main() -> None:
    """Run both phases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--uploads", type=int, default=30, help="uploads each second")
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--streams", type=int, default=50)
    options = parser.parse_args()
    settings = {
        "KAMMERTON_MAX_QUEUED_JOBS": str(QUEUED_AT_MOST),
        "KAMMERTON_RATE_LIMITS_ENABLED": "false",
        "KAMMERTON_ADMIN_PASSWORD": "benchmark",
    }
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder) / "data", **settings) as system:
        api = psutil.Process(system.pid_of("api serve"))
        url = str(system.client.base_url)
        command_workers(system, "drain")
        stopped = show("drained", asyncio.run(run(url, api, options=options, numbers=numbers)))
        command_workers(system, "resume")
        busy = show("busy", asyncio.run(run(url, api, options=options, numbers=numbers)))
    print(f"upload p50 with busy workers over drained ones: {busy / stopped:.2f}")


if __name__ == "__main__":
    main()
