"""The whole system in real processes, started as a person starts it: `python -m local`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import psutil

from shared.ports.audio import StoredAudio
from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30
ALLOWED_ORIGIN = "http://pages.localhost:1"
"""Of web pages that may call the shared system."""


@dataclass
class System:
    client: httpx2.Client
    launcher: "subprocess.Popen[str]"
    log: Path

    def pid_of(self, *words: str) -> int:
        """The first process of ours, oldest first, whose command line has all the words."""
        family = psutil.Process(self.launcher.pid).children(recursive=True)
        for process in sorted(family, key=lambda process: process.create_time()):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                return process.pid
        raise AssertionError(f"no process runs {words}")

    def stored(self) -> list[StoredAudio]:
        """All objects and unfinished uploads in storage, by the worker's own credentials."""
        env = psutil.Process(self.pid_of("worker background")).environ()
        keys = {name: value for name, value in env.items() if name.startswith("AWS_")}
        with mock.patch.dict(os.environ, keys):
            s3 = connect_s3(endpoint_url=env["KAMMERTON_S3_ENDPOINT_URL"], region=env["AWS_REGION"])
            store = S3AudioStore(s3, bucket=env["KAMMERTON_S3_BUCKET"], prefix="audio/", part_bytes=1)
            return list(store.list_older_than(before=time.time() + 60))

    def submit(self, audio: bytes, **headers: str) -> str:
        """Upload a raw body; where to poll."""
        answer = self.client.post("/v1/jobs", content=audio, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    def finished(self, location: str) -> dict[str, Any]:
        """Poll until final."""
        while True:
            job: dict[str, Any] = self.client.get(location, params={"wait": 30}).json()
            if job["finished_at"] is not None:
                return job


@contextmanager
def running_system(
    data_dir: Path, cgroup: Path | None = None, /, *arguments: str, **environment: str
) -> Iterator[System]:
    """Everything, on free ports, stopped with SIGTERM. *cgroup*: the control group to run in."""
    log = data_dir.parent / f"{data_dir.name}.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAMMERTON_", "AWS_"))}
    # most tests send a song again to see it analysed again
    settings = {"KAMMERTON_REUSE_REPORTS": "false"} | environment
    options = ["--port", "0", "--data-dir", str(data_dir), "--workers", "2", "--verbose", *arguments]
    command = [sys.executable, "-m", "local", *options]
    if cgroup is not None:
        command = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(cgroup / "cgroup.procs"), *command]
    with (
        log.open("a") as stderr,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean | settings,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as launcher,
    ):
        try:
            assert launcher.stdout is not None
            line = launcher.stdout.readline()
            assert line.startswith("ready http://"), log.read_text()[-4000:]
            with httpx2.Client(base_url=line.split()[1], timeout=60) as client:
                yield System(client, launcher, log)
        finally:
            stop(launcher, patience_seconds=STOP_SECONDS)


def stop(process: "subprocess.Popen[Any]", *, patience_seconds: float) -> None:
    """Ask it to end. Kill it, and raise TimeoutExpired, if it does not."""
    process.terminate()
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
