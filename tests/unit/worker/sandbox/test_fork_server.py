"""The fork server: children without secrets, however they, their clients and the server itself end."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import psutil
import pytest

from shared.errors import Crashed, TooComplex, Unavailable, Undecodable
from tests.support.child_processes import (
    BYTES,
    CallbackAudio,
    hang_in_c,
    limits,
    memory_of,
    read_one_byte,
)
from tests.support.exhaustion import no_more_files, no_more_processes
from worker.sandbox.child import Task
from worker.sandbox.fork_client import ForkServerClient
from worker.sandbox.fork_server import ForkServer
from worker.sandbox.limits import ChildLimits
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.parent import run_launched

SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "KAMMERTON_ADMIN_PASSWORD",
    "KAMMERTON_OPERATORS",
    "KAMMERTON_OUTBOUND_PROXY",
    "KAMMERTON_REDIS_URL",
    "KAMMERTON_VIEWER_PASSWORD",
)
TASKS: dict[str, Task] = {
    "read": read_one_byte,
    "hang": hang_in_c,
    "abort": lambda _: os.abort(),
    "echo": lambda audio: audio.read(3),
}


def task_of(request: dict[str, Any]) -> Task:
    return TASKS[request["name"]]


def main() -> None:
    """Serve: `python -m tests.unit.worker.sandbox.test_fork_server` is the server of these tests."""
    requests, lifeline, ready, parent_pid = map(int, sys.argv[1:])
    server = ForkServer(socket.socket(fileno=requests), lifeline, make_task=task_of)
    server.serve(ready=ready, parent_pid=parent_pid)


@pytest.fixture
def server() -> Iterator[ForkServerClient]:
    client = ForkServerClient("tests.unit.worker.sandbox.test_fork_server")
    client.start()
    yield client
    client.close()


def run(
    server: ForkServerClient,
    name: str,
    audio: BinaryIO | None = None,
    *,
    within: ChildLimits | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> ChildOutcome:
    launch = server.launcher({"name": name})
    return run_launched(
        launch,
        audio or io.BytesIO(BYTES),
        limits=within or limits(),
        on_tick=on_tick,
        launch_cautious=launch,
    )


def process_of(server: ForkServerClient) -> psutil.Process:
    assert server.pid is not None
    return psutil.Process(server.pid)


def test_a_child_of_the_server_answers_and_reports_its_cost(server: ForkServerClient) -> None:
    outcome = run(server, "echo")
    assert outcome.unwrap() == BYTES[:3]
    assert outcome.cpu_seconds > 0
    assert process_of(server).children() == []


def test_a_child_of_the_server_is_stopped_at_its_limits(server: ForkServerClient) -> None:
    assert isinstance(run(server, "hang", within=limits(wall_seconds=0.5)).problem, TooComplex)
    assert process_of(server).children() == []


def test_a_signal_that_kills_a_child_is_reported(server: ForkServerClient) -> None:
    outcome = run(server, "abort")
    assert isinstance(outcome.problem, Undecodable)
    assert outcome.detail == "SIGABRT"


def test_an_exception_of_on_tick_kills_the_child(server: ForkServerClient) -> None:
    def cancel() -> None:
        raise KeyError("canceled")

    with pytest.raises(KeyError):
        run(server, "hang", on_tick=cancel)
    assert process_of(server).children() == []


def test_many_children_leave_no_process_and_no_open_file(server: ForkServerClient) -> None:
    run(server, "read")
    ours = len(os.listdir("/proc/self/fd"))
    for name in ("read", "abort", "echo") * 10:
        run(server, name)
    assert len(os.listdir("/proc/self/fd")) == ours
    assert len(os.listdir(f"/proc/{server.pid}/fd")) < 12  # the last one may still be closing
    assert process_of(server).children() == []


def test_a_dead_server_crashes_its_jobs_and_is_replaced(server: ForkServerClient) -> None:
    first_pid = server.pid
    assert first_pid is not None
    outcome = run(server, "hang", on_tick=psutil.Process(first_pid).kill)
    assert isinstance(outcome.problem, Crashed)
    assert run(server, "echo").unwrap() == BYTES[:3]
    assert server.pid != first_pid


def test_a_server_and_its_children_end_with_their_client() -> None:
    script = (
        "import io\n"
        "from tests.support.child_processes import limits\n"
        "from tests.unit.worker.sandbox.test_fork_server import ForkServerClient, run\n"
        "client = ForkServerClient('tests.unit.worker.sandbox.test_fork_server')\n"
        "client.start()\n"
        "run(client, 'hang', on_tick=lambda: print(client.pid, flush=True))\n"
    )
    client = psutil.Popen([sys.executable, "-c", script], stdout=-1, text=True)
    server = psutil.Process(int(client.stdout.readline()))
    (child,) = server.children()
    client.send_signal(signal.SIGKILL)
    client.wait()
    for process in (server, child):
        process.wait(timeout=30)
    client.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem")
def test_no_secret_of_the_worker_is_in_the_memory_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = os.urandom(16).hex()
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, f"{secret}-{name}")
    held = [f"{secret}-{number}" for number in range(3)]  # as the settings of a worker are
    server = ForkServerClient("tests.unit.worker.sandbox.test_fork_server")
    server.start()
    found: dict[str, bool] = {}

    def search() -> None:
        (child,) = process_of(server).children()
        memory = memory_of(child.pid)
        found["secret"] = secret.encode() in memory
        found["control"] = b"read_one_byte" in memory

    try:
        run(server, "read", CallbackAudio(search)).unwrap()
    finally:
        server.close()
    assert secret.encode() in memory_of(os.getpid())
    assert len(held) == 3
    assert found == {"secret": False, "control": True}


def test_a_worker_loads_no_decoder() -> None:
    script = (
        "import sys, worker.jobs.run_attempt, worker.jobs.sandboxed_analysis, worker.remote.audio_file\n"
        "import worker.health.heartbeat, worker.sandbox.fork_client, worker.trace_spans\n"
        "print({'av', 'librosa', 'numpy', 'scipy', 'soundfile'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_server_without_descriptors_hands_the_job_back(server: ForkServerClient) -> None:
    run(server, "echo").unwrap()
    with no_more_files([process_of(server)]), pytest.raises(Unavailable):
        run(server, "echo")
    assert run(server, "echo").unwrap() == BYTES[:3]


def test_a_server_that_can_start_no_process_hands_the_job_back(server: ForkServerClient) -> None:
    run(server, "echo").unwrap()
    with no_more_processes([process_of(server)]), pytest.raises(Unavailable):
        run(server, "echo")
    assert run(server, "echo").unwrap() == BYTES[:3]


def test_a_server_that_cannot_be_started_is_started_for_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ForkServerClient("tests.unit.worker.sandbox.test_fork_server")

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    ours = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refuse)
        with pytest.raises(Unavailable):
            run(client, "echo")
    assert len(os.listdir("/proc/self/fd")) == ours
    assert run(client, "echo").unwrap() == BYTES[:3]
    client.close()


def test_a_job_is_canceled_while_a_server_starts() -> None:
    client = ForkServerClient("tests.unit.worker.sandbox.test_fork_server")

    def cancel() -> None:
        raise KeyError("canceled")

    with pytest.raises(KeyError):
        run(client, "echo", on_tick=cancel)
    assert run(client, "echo").unwrap() == BYTES[:3]
    client.close()


if __name__ == "__main__":
    main()
