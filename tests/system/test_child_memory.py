"""The memory of a child that decodes a file, while the whole system runs with every kind of secret."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.audio_files import audio_file
from tests.support.child_processes import memory_of
from tests.support.secrets import forms_of
from tests.support.system import System, running_system

MOST_SECONDS = 120
ADMIN, VIEWER, OPERATOR = (os.urandom(12).hex() for _ in range(3))
BROWSER = {"Sec-Fetch-Site": "same-origin"}
DECODING_CPU_SECONDS = 0.05
"""So much a child has used that is past its fork and reads the file."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem")
def test_no_secret_of_the_system_is_in_the_memory_of_a_decoder(tmp_path: Path) -> None:
    with running_system(
        tmp_path / "data",
        KAMMERTON_ADMIN_PASSWORD=ADMIN,
        KAMMERTON_VIEWER_PASSWORD=VIEWER,
        KAMMERTON_OPERATORS=f"ann:{OPERATOR}",
        KAMMERTON_OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8",
        KAMMERTON_SOURCE_ALLOW_HTTP="true",
    ) as system:
        secrets = {"admin": ADMIN, "viewer": VIEWER, "operator": OPERATOR} | _secrets_of_servers(system)
        key = _api_key(system.client)
        secrets["API key"] = key.rpartition("_")[2]
        ours = {"Authorization": f"Bearer {key}"}
        signing = system.client.get("/v1/webhooks/secret", headers=ours).json()["secret"]
        secrets["signing secret"] = signing.removeprefix("whsec_")
        song = audio_file("wav", seconds=240.0)
        answer = system.client.post(
            "/v1/jobs", content=song, params={"callback_url": "https://127.0.0.1:1/hook"}
        )
        assert answer.status_code == 202, answer.text
        secrets["callback secret"] = answer.json()["callback_secret"].removeprefix("whsec_")
        with _decoding_child(system, song, ours) as child:
            memory = memory_of(child.pid)
            # OpenBLAS would start one for each core, which spins
            assert child.num_threads() == 1
        assert b"librosa" in memory
        assert _found(secrets, memory) == set()
        worker = memory_of(system.pid_of("worker run"))
        assert {"Redis", "storage"} <= _found(secrets, worker)  # the search itself works
        assert _found({name: secrets[name] for name in ("admin", "viewer", "operator")}, worker) == set()


def _found(secrets: dict[str, str], memory: bytes) -> set[str]:
    return {name for name, secret in secrets.items() if any(form in memory for form in forms_of(secret))}


def _secrets_of_servers(system: System) -> dict[str, str]:
    env = psutil.Process(system.pid_of("worker background")).environ()
    password = httpx2.URL(env["KAMMERTON_REDIS_URL"]).password
    return {"Redis": password, "storage": env["AWS_SECRET_ACCESS_KEY"]}


def _api_key(client: httpx2.Client) -> str:
    entered = client.post("/admin/login", data={"name": "ann", "password": OPERATOR}, headers=BROWSER)
    assert entered.status_code == 303, entered.text
    scopes = ["jobs:read", "jobs:write"]
    made = client.post("/admin/api/keys", json={"name": "ours", "scopes": scopes}, headers=BROWSER)
    assert made.status_code == 201, made.text
    return str(made.json()["token"])


@contextmanager
def _decoding_child(system: System, song: bytes, headers: dict[str, str]) -> Iterator[psutil.Process]:
    """A child in the middle of a job, stopped. Jobs are submitted until one is met while it runs."""
    server = psutil.Process(system.pid_of("worker.sandbox_server"))
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        if not server.children():
            system.submit(song, **headers)
        for child in server.children():
            if _is_stopped_while_running(child):
                try:
                    yield child
                finally:
                    child.resume()
                return
    raise AssertionError("no running child was met")


def _is_stopped_while_running(child: psutil.Process) -> bool:
    try:
        while child.cpu_times().user < DECODING_CPU_SECONDS:
            if child.status() == psutil.STATUS_ZOMBIE:
                return False
        child.suspend()
        return child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
