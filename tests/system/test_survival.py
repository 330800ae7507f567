"""Stop, start, kill: what was accepted is done."""

import os
import signal
import time
from pathlib import Path

import httpx2
import psutil

from tests.support.audio_files import audio_file
from tests.support.system import System, running_system

SONG = audio_file("flac", seconds=3.0)


def submit(system: System) -> str:
    return system.submit(SONG, **{"Content-Type": "audio/flac"})


def until_ready(system: System) -> None:
    while True:
        try:
            if system.client.get("/readyz").json()["status"] == "ready":
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)


def test_jobs_survive_a_restart_and_no_process_is_left(tmp_path: Path) -> None:
    with running_system(tmp_path / "data") as system:
        done = submit(system)
        first = system.finished(done)
        waiting = [submit(system) for _ in range(5)]
        family = psutil.Process(system.launcher.pid).children(recursive=True)
        assert len(family) >= 6
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    with running_system(tmp_path / "data") as system:
        assert system.client.get(done).json()["report"] == first["report"]
        assert [system.finished(location)["state"] for location in waiting] == ["succeeded"] * 5
        assert system.stored() == []


def test_killed_processes_are_restarted_and_their_jobs_finish(tmp_path: Path) -> None:
    with running_system(tmp_path / "data", KAMMERTON_LEASE_SECONDS="5") as system:
        for words in (
            ("worker run",),
            ("valkey-server",),
            ("weed",),
            ("worker background",),
            ("api serve",),
        ):
            before = [submit(system) for _ in range(3)]
            os.kill(system.pid_of(*words), signal.SIGKILL)
            until_ready(system)
            after = [submit(system) for _ in range(3)]
            ends = [system.finished(location) for location in before + after]
            assert [job["state"] for job in ends] == ["succeeded"] * 6, words
        assert system.stored() == []
        log = system.log.read_text()
        assert log.count("started again in") >= 5
