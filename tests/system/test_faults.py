"""Every job that was answered with 202 ends once, whatever dies in between. `make faults`: the long form."""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.support.audio_files import audio_file
from tests.support.exhaustion import full_redis
from tests.support.fault_injection import QUICK, FaultInjector
from tests.support.system import ROOT, running_system

SEED = 20_261_122
FAULTS = [
    "child killed",
    "child segfaults",
    "child stopped past its lease",
    "worker killed",
    "valkey killed",
    "valkey full",
    "s3 stopped",
    "s3 killed",
    "api killed",
    "rescuer killed",
    "messages dropped",
    "messages doubled",
    "worker out of files",
    "worker out of processes",
]
LONG = "KAMMERTON_FAULTS_JOBS"


def test_every_accepted_job_ends_once_through_kills_of_every_process(tmp_path: Path) -> None:
    honest = int(os.environ.get(LONG, "40"))
    rounds = max(1, honest // 100)
    with running_system(tmp_path / "data", **QUICK) as system:
        fire = FaultInjector(system, seed=SEED, s3_pause_seconds=20.0 if honest >= 500 else 6.0)
        fire.submit("deadly", audio_file("wav", seconds=240.0))
        deadly = next(iter(fire.accepted))
        stop = threading.Event()
        sender = threading.Thread(target=fire.submit_many, args=[honest])
        killer = threading.Thread(target=fire.kill_worker_of, args=[deadly, stop])
        for thread in (killer, sender):
            thread.start()
        try:
            for _ in range(rounds):
                fire.rage(FAULTS)
            sender.join()
            fire.submit_hostile()
            # six attempts of the deadly job, each after a restart that is up to 30 s apart from the last
            ends = fire.ends(patience_seconds=300 + honest)
        finally:
            stop.set()
            killer.join()
        counts: Counter[str] = Counter()
        for location, job in ends.items():
            kind = fire.accepted[location]
            counts[f"{kind.partition(':')[0]} {job['state']}"] += 1
            finals = [line for line in job["timeline"] if line["state"] in {"succeeded", "failed", "dead"}]
            assert len(finals) == 1, job
            if kind == "honest":
                assert job["state"] == "succeeded", job
            elif kind == "deadly":
                # while the API is down, an attempt can end before the killer learns that it runs
                is_missed = job["attempts"] > fire.tally["child killed for its job"]
                assert job["state"] == "dead" or is_missed, (job, fire.tally)
                assert is_missed or job["problem"]["code"] == "too_many_crashes"
            else:
                assert job["state"] in {"succeeded", "failed"}, (kind, job)
        print(f"\nseed {SEED}; faults {dict(fire.tally)}; ends {dict(counts)}")
        for kind in (
            "valkey killed",
            "valkey full",
            "worker killed",
            "s3 stopped",
            "child killed for its job",
        ):
            assert fire.tally[kind], f"nothing was {kind}"
        # what an upload left that was refused after it had arrived counts as an orphan after a minute
        deadline = time.monotonic() + float(QUICK["KAMMERTON_ORPHAN_SECONDS"]) + 120
        while not {found.key for found in system.stored()} <= {deadly.rpartition("/")[2]}:
            assert time.monotonic() < deadline, "audio that no retry needs stayed in storage"
            time.sleep(1)


def test_jobs_that_run_while_redis_is_full_end_once_it_has_memory(tmp_path: Path) -> None:
    patient = QUICK | {"KAMMERTON_JOB_TIMEOUT_SECONDS": "60", "KAMMERTON_JOB_ATTEMPTS": "20"}
    with running_system(tmp_path / "data", **patient) as system:
        fire = FaultInjector(system, seed=SEED)
        worker = system.pid_of("worker run")
        song = audio_file("flac", seconds=60.0)  # uploaded much faster than it is analysed
        songs = [system.submit(song) for _ in range(12)]
        while system.client.get(songs[0]).json()["state"] == "queued":
            pass
        with full_redis(fire.broker):
            refused = system.client.post("/v1/jobs", content=fire.songs["flac"])
            time.sleep(float(QUICK["KAMMERTON_LEASE_SECONDS"]) + 2)
            assert any(system.client.get(song).json()["finished_at"] is None for song in songs)
        jobs = [system.finished(song) for song in songs]
        later = system.finished(system.submit(fire.songs["flac"]))
        assert {job["state"] for job in [*jobs, later]} == {"succeeded"}, jobs
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert system.pid_of("worker run") == worker, "the consumer has ended"


def test_host_names_that_are_never_resolved_hold_up_nobody_else(tmp_path: Path) -> None:
    slow_dns = str(ROOT / "tests/support/slow_dns")
    with running_system(tmp_path / "data", PYTHONPATH=slow_dns) as system:
        api = psutil.Process(system.pid_of("api serve"))
        song = system.submit(audio_file("wav", seconds=3.0))
        system.finished(song)
        threads = api.num_threads()

        def submit(number: int) -> int:
            url = f"https://{number}.slow.example/song.mp3"
            return system.client.post("/v1/jobs", json={"source_url": url}).status_code

        with ThreadPoolExecutor(20) as clients:
            answers = clients.map(submit, range(60))
            assert system.client.get(song).status_code == 200
            assert set(answers) == {422, 503}
        # each lookup goes on, but they are four, not sixty; the others are request threads
        assert api.num_threads() < threads + 50
        assert system.finished(system.submit(audio_file("flac", seconds=3.0)))["state"] == "succeeded"
