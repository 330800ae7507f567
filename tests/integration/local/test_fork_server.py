"""The fork server of the launcher: commands in forks, however they, the server and the launcher end."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.fork_server.client import ForkServerClient
from local.lifeline import Lifeline
from local.processes import Command, Process
from tests.support.child_processes import memory_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher uses it on Linux")

PATIENCE_SECONDS = 60
MODULE = "tests.integration.local.test_fork_server"
PRELOADED: list[int] = []


def preload() -> None:
    """What the server loads."""
    PRELOADED.append(os.getpid())


class Commands:
    """Commands of one launcher."""

    def __init__(self) -> None:
        self.lifeline = Lifeline()
        self.lines: list[str] = []
        self.processes: list[Process] = []
        self.client = ForkServerClient(MODULE, lifeline=self.lifeline, log=self._keep)

    def _keep(self, _name: str, line: str) -> None:
        self.lines.append(line)

    def start(self, *words: str, **env: str) -> Process:
        argv = [sys.executable, "-m", "tests.support.forked_command", *words]
        inherited = {"PATH": os.environ["PATH"], "SERVER": "its own"}
        process = Process(
            Command("command", argv, is_forked=True),
            lifeline=self.lifeline,
            env=inherited | env,
            log=self._keep,
            fork_server=self.client,
        )
        process.start()
        self.processes.append(process)
        return process

    def says(self, words: str) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for line in self.lines:
                if words in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"nothing said {words!r}: {self.lines}")


@pytest.fixture
def commands() -> Iterator[Commands]:
    commands = Commands()
    yield commands
    for process in commands.processes:
        process.kill()
    commands.client.close()
    commands.lifeline.close()


def ended(process: Process) -> int | None:
    assert process.wait_until(time.monotonic() + PATIENCE_SECONDS)
    return process.status


def test_a_command_has_its_own_arguments_environment_group_and_name(commands: Commands) -> None:
    process = commands.start("facts", "two words", SECRET="s")
    facts = json.loads(commands.says("arguments"))
    assert facts["arguments"] == ["facts", "two words"]
    assert facts["environment"] == {"PATH": os.environ["PATH"], "SERVER": "its own", "SECRET": "s"}
    assert facts["name"] == "__main__"
    assert facts["preloaded"], "it was not loaded before the fork"
    assert facts["open"] == ["0", "1", "2"]
    assert facts["pid"] == facts["group"] == process.pid
    assert facts["command_line"] == f"{sys.executable} -m tests.support.forked_command facts two words"
    assert ended(process) == 0


def test_the_server_gets_no_variable_of_a_later_command(commands: Commands) -> None:
    first = commands.start("wait")
    server = psutil.Process(first.pid).ppid()
    second = commands.start("wait", SECRET="hidden")
    assert psutil.Process(second.pid).ppid() == server
    assert b"hidden" not in Path(f"/proc/{server}/environ").read_bytes()
    assert b"hidden" not in Path(f"/proc/{first.pid}/environ").read_bytes()


@pytest.mark.parametrize("server_dies", [False, True])
def test_no_command_has_a_variable_of_an_earlier_one_in_its_memory(
    commands: Commands, server_dies: bool
) -> None:
    hidden = os.urandom(16).hex()
    first = commands.start("wait")
    if server_dies:
        psutil.Process(psutil.Process(first.pid).ppid()).kill()
        assert ended(first) != 0
    secret = commands.start("wait", SECRET=hidden)
    other = commands.start("wait")
    server = psutil.Process(secret.pid).ppid()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while hidden.encode() not in memory_of(secret.pid):
        assert time.monotonic() < deadline, "the search does not work"
    assert psutil.Process(other.pid).ppid() == server
    assert hidden.encode() not in memory_of(server)
    assert hidden.encode() not in memory_of(other.pid)


def test_an_environment_can_be_large(commands: Commands) -> None:
    variables = {f"VARIABLE_{number}": "x" * 10_000 for number in range(40)}
    assert ended(commands.start("exit", "3", **variables)) == 3


def test_the_exit_code_and_the_last_lines_arrive(commands: Commands) -> None:
    process = commands.start("exit", "3")
    assert ended(process) == 3
    process.kill()
    assert process.tail[-1] == "bye"
    process = commands.start("fail")
    assert ended(process) == 1
    commands.says("RuntimeError: a bug")
    process.kill()


def test_signals_arrive_and_a_killed_group_is_gone(commands: Commands) -> None:
    process = commands.start("wait")
    process.request_stop()
    assert ended(process) == -signal.SIGTERM
    process.kill()
    process = commands.start("children")
    family = [psutil.Process(process.pid), *map(psutil.Process, json.loads(commands.says("[")))]
    process.kill()
    assert not psutil.wait_procs(family, timeout=PATIENCE_SECONDS)[1]


def test_an_ended_command_keeps_its_number_until_it_is_let_go(commands: Commands) -> None:
    process = commands.start("exit", "0")
    assert ended(process) == 0
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    pid = process.pid
    process.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)


def test_a_dead_server_takes_its_commands_with_it_and_another_starts(commands: Commands) -> None:
    process = commands.start("wait")
    server = psutil.Process(process.pid).ppid()
    os.kill(server, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL
    process.kill()
    process = commands.start("exit", "0")
    assert ended(process) == 0


def test_the_end_of_the_lifeline_ends_server_and_commands(commands: Commands) -> None:
    process = commands.start("wait")
    family = [psutil.Process(process.pid), psutil.Process(psutil.Process(process.pid).ppid())]
    commands.lifeline.close()
    assert not psutil.wait_procs(family, timeout=PATIENCE_SECONDS)[1]
    commands.lifeline = Lifeline()
