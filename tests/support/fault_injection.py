"""Jobs under fire: everything that can die dies at random moments, and afterwards the books must balance."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil
import redis

from tests.support.audio_files import audio_file
from tests.support.exhaustion import Exhaust, full_redis, no_more_files, no_more_processes
from tests.support.hostile_files import KINDS as HOSTILE
from tests.support.hostile_files import hostile_file
from tests.support.system import System

QUICK = {
    "KAMMERTON_LEASE_SECONDS": "5",
    "KAMMERTON_RESCUER_INTERVAL_SECONDS": "1",
    "KAMMERTON_JOB_RETRY_DELAY_SECONDS": "1",
    "KAMMERTON_JOB_TIMEOUT_SECONDS": "8",
    "KAMMERTON_JOB_ATTEMPTS": "6",
    "KAMMERTON_ORPHAN_SECONDS": "60",
}
KINDS = ("wav", "flac", "mp3-cbr", "ogg-vorbis", "ogg-opus", "m4a")


@dataclass
class FaultInjector:
    """Faults over one running system. `tally` counts what was done."""

    system: System
    seed: int
    s3_pause_seconds: float = 20.0
    tally: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, str] = field(default_factory=dict)
    """Location of every job that was answered with 202, and what it was."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        env = psutil.Process(self.system.pid_of("worker background")).environ()
        self.broker = redis.Redis.from_url(env["KAMMERTON_REDIS_URL"], socket_timeout=5)
        self.songs = {kind: audio_file(kind, seconds=3.0) for kind in KINDS}

    def submit(self, kind: str, audio: bytes) -> None:
        """Upload until it is accepted, as a patient client does."""
        while True:
            try:
                answer = self.system.client.post(
                    "/v1/jobs", content=audio, headers={"Content-Type": "application/octet-stream"}
                )
            except httpx2.HTTPError:
                self.tally["uploads broken off"] += 1
                time.sleep(0.2)
                continue
            if answer.status_code == 202:
                self.accepted[answer.headers["location"]] = kind
                return
            if kind.startswith("hostile") and 400 <= answer.status_code < 500:
                self.tally["hostile refused at once"] += 1
                return
            assert answer.status_code == 503, answer.text
            self.tally["uploads told to come back"] += 1
            time.sleep(0.5)

    def submit_many(self, count: int) -> None:
        """Honest songs, one after the other."""
        for _ in range(count):
            kind = self.random.choice(KINDS)
            self.submit("honest", self.songs[kind])

    def submit_hostile(self) -> None:
        """One file of each hostile kind: all the memory, all the time, all the nonsense."""
        for kind in HOSTILE:
            self.submit(f"hostile: {kind}", hostile_file(kind))

    def kill_worker_of(self, location: str, stop: threading.Event) -> None:
        """Make one job deadly: its worker's child is killed each time that it runs."""
        attempt = 0
        while not stop.is_set():
            try:
                job = self.system.client.get(location).json()
            except (httpx2.HTTPError, ValueError):
                continue
            if job.get("finished_at"):
                if job["state"] == "succeeded" and job["attempts"] == attempt:
                    self.tally["child killed for its job"] -= 1
                    self.tally["child killed too late"] += 1
                return
            if job.get("state") == "running" and job["attempts"] > attempt:
                attempt = job["attempts"]
                self._signal(int(job["timeline"][-1]["worker"].split(":")[1]), signal.SIGKILL)
                self.tally["child killed for its job"] += 1
            time.sleep(0.02)

    def rage(self, faults: list[str]) -> None:
        """Each fault once, in random order, with random pauses."""
        acts: dict[str, Callable[[], None]] = {
            "child killed": lambda: self._signal(self._child(), signal.SIGKILL),
            "child segfaults": lambda: self._signal(self._child(), signal.SIGSEGV),
            "child stopped past its lease": self._outlast_a_lease,
            "worker killed": lambda: self._kill("worker run"),
            "valkey killed": lambda: self._kill("valkey-server"),
            "valkey full": self._outlast_a_lease_without_memory,
            "s3 stopped": self._pause_s3,
            "s3 killed": lambda: self._kill("weed"),
            "api killed": lambda: self._kill("api serve"),
            "rescuer killed": lambda: self._kill("worker background"),
            "messages dropped": self._drop_messages,
            "messages doubled": self._double_messages,
            "worker out of files": lambda: self._exhaust_worker(no_more_files),
            "worker out of processes": lambda: self._exhaust_worker(no_more_processes),
        }
        for name in self.random.sample(faults, len(faults)):
            time.sleep(self.random.uniform(0.2, 2.0))
            try:
                acts[name]()
            except (AssertionError, psutil.Error, redis.RedisError, IndexError, OSError):
                self.tally[f"{name}: nobody there"] += 1
            else:
                self.tally[name] += 1

    def ends(self, *, patience_seconds: float) -> dict[str, dict[str, Any]]:
        """All accepted jobs, final. Raises AssertionError where one is not, after all patience."""
        deadline = time.monotonic() + patience_seconds
        ended: dict[str, dict[str, Any]] = {}
        while open_jobs := set(self.accepted) - set(ended):
            for location in open_jobs:
                try:
                    answer = self.system.client.get(location)
                except httpx2.HTTPError:
                    continue
                assert answer.status_code != 404, f"{location} was accepted and is lost"
                if answer.status_code == 200 and answer.json()["finished_at"]:
                    ended[location] = answer.json()
            if time.monotonic() > deadline:
                stuck = [self.system.client.get(location).json() for location in open_jobs]
                raise AssertionError(f"{len(stuck)} jobs are not final, such as {stuck[0]}")
            time.sleep(0.5)
        return ended

    def _child(self) -> int:
        """One of the pool's processes; a worker that was just killed gets the time to come back."""
        deadline = time.monotonic() + 60
        while True:
            try:
                main = self.system.pid_of("worker run")
                return self.random.choice(psutil.Process(main).children()).pid
            except (AssertionError, psutil.Error, IndexError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _kill(self, *words: str) -> None:
        self._signal(self.system.pid_of(*words), signal.SIGKILL)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self.tally["was gone already"] += 1

    def _outlast_a_lease(self) -> None:
        child = self._child()
        self._signal(child, signal.SIGSTOP)
        time.sleep(float(QUICK["KAMMERTON_LEASE_SECONDS"]) + 2)
        self._signal(child, signal.SIGCONT)

    def _outlast_a_lease_without_memory(self) -> None:
        deadline = time.monotonic() + 60
        while not self._valkey_answers() and time.monotonic() < deadline:
            time.sleep(0.2)
        with full_redis(self.broker):
            time.sleep(float(QUICK["KAMMERTON_LEASE_SECONDS"]) + 2)

    def _valkey_answers(self) -> bool:
        try:
            return bool(self.broker.ping())
        except redis.RedisError:
            return False

    def _exhaust_worker(self, exhausted: Exhaust) -> None:
        main = psutil.Process(self.system.pid_of("worker run"))
        with exhausted([main, *main.children(recursive=True)]):
            time.sleep(self.s3_pause_seconds / 2)

    def _pause_s3(self) -> None:
        server = self.system.pid_of("weed")
        self._signal(server, signal.SIGSTOP)
        time.sleep(self.s3_pause_seconds)
        self._signal(server, signal.SIGCONT)

    def _drop_messages(self) -> None:
        self.broker.delete("kammerton:interactive")

    def _double_messages(self) -> None:
        for message in self.broker.lrange("kammerton:interactive", 0, -1):
            self.broker.lpush("kammerton:interactive", message)
