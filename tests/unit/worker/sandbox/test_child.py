"""What a child can't do, what it does not inherit, and where it works."""

import mmap
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import billiard
import numpy as np
import psutil
import pytest

from tests.support.child_processes import BYTES, MIB, CallbackAudio, limits, only_child, read_one_byte, run
from worker.sandbox import child as wire
from worker.sandbox.limits import NICENESS

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="what the kernel forbids is Linux's to forbid"
)


def _connect(_: BinaryIO) -> bytes:
    socket.socket().connect(("127.0.0.1", 9))
    return b""


def _share_memory(_: BinaryIO) -> bytes:
    with mmap.mmap(-1, 1 << 20) as memory:
        return b"%d" % len(memory)


def _start_thread(_: BinaryIO) -> bytes:
    threading.Thread(target=print).start()
    return b""


@linux_only
@pytest.mark.parametrize(
    "attempt",
    [
        lambda _: Path("/etc/passwd").read_bytes(),
        lambda _: b"%d" % len(list(Path("/").iterdir())),
        lambda _: b"%d" % os.fork(),
        lambda _: os.execv(sys.executable, ["python", "-c", "pass"]),
        lambda _: os.kill(os.getppid(), signal.SIGTERM),
        lambda _: Path("/nonexistent").unlink(),
        lambda _: resource.prlimit(0, resource.RLIMIT_CPU, (-1, -1)),
        _connect,
        _share_memory,
        _start_thread,
    ],
    ids=["open", "list", "fork", "exec", "kill", "unlink", "unlimit", "connect", "share memory", "thread"],
)
def test_a_child_can_reach_no_file_address_or_process(attempt: wire.Task) -> None:
    outcome = run(attempt)
    assert outcome.problem is not None
    # Python 3.13 aborts if it can't fork.
    assert any(part in outcome.detail for part in ("not permitted", "can't start new thread", "SIGABRT"))


def test_a_child_does_not_inherit_open_files() -> None:
    reading, writing = os.pipe()
    try:
        outcome = run(lambda _: b"%d" % os.write(writing, b"x"))
        assert "Bad file descriptor" in outcome.detail
    finally:
        os.close(reading)
        os.close(writing)


@linux_only
def test_a_child_is_limited_by_the_kernel_before_its_first_read() -> None:
    seen: dict[str, object] = {}

    def look() -> None:
        child = only_child()
        place = Path(f"/proc/{child.pid}")
        seen["oom"] = place.joinpath("oom_score_adj").read_text().strip()
        status = place.joinpath("status").read_text()
        seen["filter"] = re.findall(r"^(?:NoNewPrivs|Seccomp):\s*(\d)", status, re.MULTILINE)
        for name in (
            "RLIMIT_FSIZE",
            "RLIMIT_CORE",
            "RLIMIT_NPROC",
            "RLIMIT_NOFILE",
            "RLIMIT_CPU",
            "RLIMIT_DATA",
        ):
            seen[name] = child.rlimit(getattr(psutil, name))[0]

    run(read_one_byte, CallbackAudio(look), within=limits(memory_bytes=64 * MIB, cpu_seconds=7)).unwrap()
    data_bytes = seen.pop("RLIMIT_DATA")
    assert isinstance(data_bytes, int)
    assert 64 * MIB < data_bytes < 64 * MIB + psutil.Process().memory_info().vms
    assert seen == {
        "oom": "1000",
        "filter": ["1", "2"],
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": 4,
        "RLIMIT_CPU": 7,
    }


def test_a_child_ignores_ctrl_c() -> None:
    def interrupt() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            only_child().send_signal(number)

    assert run(read_one_byte, CallbackAudio(interrupt)).unwrap() == b"x"


def test_numpy_multiplies_matrices_in_a_child_without_its_threads() -> None:
    def multiply(_: BinaryIO) -> bytes:
        ones = np.ones((600, 600), np.float32)
        return b"%d" % int((ones @ ones)[0, 0])

    assert run(multiply, within=limits(cpu_seconds=10)).unwrap() == b"600"


def _in_a_pool(answers: "billiard.Queue[bytes]") -> None:
    answers.put(run(lambda audio: audio.read(2)).unwrap())


def test_the_sandbox_works_in_a_daemonic_process_like_celerys_pool() -> None:
    context = billiard.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_in_a_pool, args=(answers,), daemon=True)
    process.start()
    assert answers.get(timeout=30) == BYTES[:2]
    process.join()


_PARENT = """
import atexit, io, sys, time
from worker.sandbox.limits import ChildLimits
from worker.sandbox.parent import run_sandboxed

def spin(audio):
    while True: pass

limits = ChildLimits(memory_bytes=1 << 26, cpu_seconds=60, wall_seconds=60)
"""


def test_a_child_runs_no_exit_handler_and_flushes_no_buffer_of_its_parent() -> None:
    script = _PARENT + (
        "atexit.register(print, 'goodbye')\n"
        "sys.stdout.write('hello ')\n"
        "for task in (lambda _: b'x', lambda _: 1 / 0, lambda _: sys.exit()):\n"
        "    run_sandboxed(task, io.BytesIO(b''), limits=limits, on_tick=lambda: None)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "hello goodbye\n"
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_with_its_parent(number: signal.Signals) -> None:
    script = _PARENT + (
        "import psutil\n"
        "def tell():\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "run_sandboxed(spin, io.BytesIO(b''), limits=limits, on_tick=tell)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(number)
        parent.wait()
        child.wait(timeout=30)  # raises if it is still there


def test_a_child_is_nicer_than_its_parent() -> None:
    seen: list[int] = []

    def look() -> None:
        # proc(5): the fields after the name in parentheses begin with the third, and niceness is the 19th
        after_name = Path(f"/proc/{only_child().pid}/stat").read_text().rpartition(")")[2].split()
        seen.append(int(after_name[19 - 3]))

    run(read_one_byte, CallbackAudio(look)).unwrap()
    assert seen == [min(19, os.nice(0) + NICENESS)]


def _page_faults_of_blocks_that_come_and_go(_: BinaryIO) -> bytes:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _repeat in range(10):
        blocks = [bytearray(20 * MIB) for _ in range(3)]
        del blocks
    return b"%d" % (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


@linux_only
def test_a_child_uses_its_freed_memory_again() -> None:
    faults = int(run(_page_faults_of_blocks_that_come_and_go).unwrap())
    assert faults < 3 * 60 * MIB / resource.getpagesize()
