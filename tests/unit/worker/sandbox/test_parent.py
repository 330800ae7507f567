"""Every way a child can end: its outcome, its cost, and that nothing of it remains."""

import ctypes
import errno
import io
import itertools
import mmap
import os
import subprocess
import sys
import time
from typing import BinaryIO

import pytest

from shared.errors import Crashed, OutOfMemory, TooComplex, Unavailable, Undecodable
from tests.support.child_processes import (
    BYTES,
    MIB,
    CallbackAudio,
    forked_children,
    hang_in_c,
    limits,
    only_child,
    read_one_byte,
    run,
)
from worker.file_problems import file_problem
from worker.sandbox import child as wire


def test_a_child_answers_with_what_its_task_returned() -> None:
    outcome = run(lambda _: b"432")
    assert outcome.unwrap() == b"432"
    assert outcome.problem is None


def test_a_child_reads_any_range_of_the_audio() -> None:
    def ranges(audio: BinaryIO) -> bytes:
        end = audio.seek(0, os.SEEK_END)
        audio.seek(-3, os.SEEK_END)
        last = audio.read()
        audio.seek(1_000_001)
        return b"%d" % end + last + audio.read(4)

    assert run(ranges).unwrap() == b"%d" % len(BYTES) + BYTES[-3:] + BYTES[1_000_001:1_000_005]


def test_a_child_reads_the_whole_audio() -> None:
    assert run(lambda audio: b"same" if audio.read() == BYTES else b"other").unwrap() == b"same"


def test_only_requested_ranges_are_read() -> None:
    outcome = run(lambda audio: audio.read(10))
    assert outcome.bytes_read == wire.BUFFER_BYTES


def test_an_answer_may_be_empty() -> None:
    assert run(lambda _: b"").unwrap() == b""


def test_a_problem_of_free_text_does_not_leave_the_child() -> None:
    def leak(_: BinaryIO) -> bytes:
        raise Undecodable("secret")

    outcome = run(leak)
    assert isinstance(outcome.problem, Crashed)
    assert "secret" not in outcome.problem.message


def test_a_problem_keeps_its_type_code_and_message() -> None:
    def refuse(_: BinaryIO) -> bytes:
        raise file_problem("sample_rate", 1, 4000, 768_000)

    outcome = run(refuse)
    assert isinstance(outcome.problem, Undecodable)
    assert outcome.problem.code == "sample_rate"
    assert "a sample rate of 1 Hz; 4000 to" in outcome.problem.message
    assert outcome.detail == ""  # an ordinary bad file is no case for a traceback
    with pytest.raises(Undecodable):
        outcome.unwrap()


def test_too_much_memory_makes_a_file_too_complex() -> None:
    outcome = run(lambda _: b"%d" % len(bytearray(200 * MIB)), within=limits(memory_bytes=64 * MIB))
    assert isinstance(outcome.problem, TooComplex)


def test_memory_within_the_limit_is_available() -> None:
    assert run(lambda _: b"%d" % len(bytearray(40 * MIB)), within=limits(memory_bytes=64 * MIB)).unwrap()


def test_the_memory_peak_excludes_inherited_memory() -> None:
    def take(_: BinaryIO) -> bytes:
        with mmap.mmap(-1, 40 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            return b"%d" % memory.write(b"x" * MIB * 40)

    outcome = run(take, within=limits(memory_bytes=200 * MIB))
    assert 40 * MIB < outcome.memory_peak_bytes < 120 * MIB


def test_a_hang_in_c_makes_a_file_too_complex() -> None:
    outcome = run(hang_in_c, within=limits(wall_seconds=0.6))
    assert isinstance(outcome.problem, TooComplex)
    assert "wall clock" in outcome.detail


def test_too_much_cpu_time_makes_a_file_too_complex() -> None:
    outcome = run(hang_in_c, within=limits(cpu_seconds=1))
    assert isinstance(outcome.problem, TooComplex)
    assert outcome.detail == "SIGXCPU"


def test_endless_reading_makes_a_file_too_complex() -> None:
    def read_again_and_again(audio: BinaryIO) -> bytes:
        while True:
            audio.seek(0, os.SEEK_END)
            audio.seek(0)
            audio.read(1)

    outcome = run(read_again_and_again, within=limits(read_bytes=8 * MIB))
    assert isinstance(outcome.problem, TooComplex)
    assert outcome.bytes_read <= 9 * MIB


def test_endless_reading_of_single_bytes_makes_a_file_too_complex() -> None:
    def read_again_and_again(audio: BinaryIO) -> bytes:
        while True:
            audio.seek(0, os.SEEK_END)
            audio.seek(0)
            audio.read(1)

    audio = io.BytesIO(b"x")
    outcome = run(read_again_and_again, audio, within=limits(read_bytes=8 * MIB))
    assert isinstance(outcome.problem, TooComplex)
    assert outcome.bytes_read == 128


def test_slow_storage_does_not_make_a_file_too_complex() -> None:
    outcome = run(read_one_byte, CallbackAudio(lambda: time.sleep(4)), within=limits(wall_seconds=3.5))
    assert outcome.unwrap() == b"x"
    assert outcome.storage_seconds >= 4


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (lambda _: ctypes.string_at(0), "SIGSEGV"),
        (lambda _: os.abort(), "SIGABRT"),
    ],
)
def test_a_signal_that_kills_a_decoder_twice_is_a_problem_of_the_file(task: wire.Task, name: str) -> None:
    outcome = run(task)
    assert isinstance(outcome.problem, Undecodable)
    assert outcome.detail == name


def test_a_decoder_that_dies_is_replaced_by_a_cautious_one() -> None:
    outcome = run(lambda _: os.abort(), cautious_task=lambda _: b"432")
    assert outcome.unwrap() == b"432"
    assert "SIGABRT" in outcome.detail


def test_a_child_killed_from_outside_is_a_crash() -> None:
    outcome = run(read_one_byte, CallbackAudio(lambda: only_child().kill()))
    assert isinstance(outcome.problem, Crashed)
    assert outcome.detail == "SIGKILL"


def test_a_child_that_exits_without_an_answer_is_a_problem_of_the_file() -> None:
    outcome = run(lambda _: os._exit(3))
    assert isinstance(outcome.problem, Undecodable)
    assert "exit status 3" in outcome.detail


@pytest.mark.parametrize("error", [ValueError("secret"), ZeroDivisionError(), IndexError(), RuntimeError()])
def test_an_exception_that_odd_bytes_can_raise_is_a_problem_of_the_file(error: Exception) -> None:
    def fail(_: BinaryIO) -> bytes:
        raise error

    outcome = run(fail)
    assert isinstance(outcome.problem, Undecodable)
    assert "secret" not in outcome.problem.message
    assert type(error).__name__ in outcome.detail


@pytest.mark.parametrize("error", [TypeError("secret"), AttributeError(), SystemExit(0), KeyboardInterrupt()])
def test_a_bug_in_the_task_is_a_crash_whose_message_hides_the_error(error: BaseException) -> None:
    def fail(_: BinaryIO) -> bytes:
        raise error

    outcome = run(fail)
    assert isinstance(outcome.problem, Crashed)
    assert "secret" not in outcome.problem.message
    assert type(error).__name__ in outcome.detail


@pytest.mark.parametrize(
    "lie",
    [
        b"nonsense of more than one frame's length",
        wire.FRAME.pack(wire.READ, 0, 1 << 40),
        wire.FRAME.pack(wire.ANSWER, 1 << 40, 0),
        wire.FRAME.pack(wire.PROBLEM, 1 << 40, 0),
        wire.FRAME.pack(wire.PROBLEM, 2, 0) + b"[]",
        wire.FRAME.pack(wire.PROBLEM, 38, 0) + b'{"problem": "empty", "numbers": ["x"]}',
        wire.FRAME.pack(wire.PROBLEM, 36, 0) + b'{"problem": "secret", "numbers": []}',
        wire.FRAME.pack(wire.PROBLEM, 2, 0) + b"\xff\xff",
        wire.FRAME.pack(wire.PROBLEM, 39, 0) + b'{"type": "Unavailable", "code": "secret"}'[:39],
    ],
)
def test_a_child_that_breaks_the_protocol_is_a_problem_of_the_file(lie: bytes) -> None:
    def lie_and_linger(_: BinaryIO) -> bytes:
        os.write(3, lie)
        time.sleep(60)
        return b""

    assert isinstance(run(lie_and_linger).problem, Undecodable)


def test_a_child_that_closes_its_socket_and_does_not_exit_is_killed() -> None:
    def linger(_: BinaryIO) -> bytes:
        os.close(3)
        time.sleep(60)
        return b""

    outcome = run(linger)
    assert isinstance(outcome.problem, Crashed)
    assert outcome.detail == "SIGKILL"


def test_a_child_that_never_receives_its_bytes_is_stopped() -> None:
    def ask_and_sleep(_: BinaryIO) -> bytes:
        for _number in range(50):
            os.write(3, wire.FRAME.pack(wire.READ, 0, MIB))
        time.sleep(60)
        return b""

    assert isinstance(run(ask_and_sleep, within=limits(wall_seconds=0.5)).problem, TooComplex)


def test_storage_errors_stop_the_child_and_are_raised() -> None:
    def away() -> None:
        raise Unavailable("Storage does not answer.")

    with pytest.raises(Unavailable):
        run(read_one_byte, CallbackAudio(away))
    assert forked_children() == []


def test_a_canceled_job_stops_its_child() -> None:
    class Cancelled(Exception):
        pass

    calls = []

    def cancel() -> None:
        calls.append(only_child().pid)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(hang_in_c, on_tick=cancel)
    assert forked_children() == []


def test_on_tick_is_called_while_a_child_computes() -> None:
    calls: list[int] = []
    run(hang_in_c, on_tick=lambda: calls.append(1), within=limits(wall_seconds=1.2))
    assert len(calls) >= 2


def test_on_tick_is_called_while_a_child_reads_all_the_time() -> None:
    calls: list[int] = []

    def chat(audio: BinaryIO) -> bytes:
        while True:
            audio.seek(0, os.SEEK_END)
            audio.seek(0)
            audio.read(1)

    run(chat, on_tick=lambda: calls.append(1), within=limits(wall_seconds=1.2, read_bytes=1 << 40))
    assert len(calls) >= 2


_THOUSAND = """
import io, os
from shared.errors import KammertonError, Unavailable
from worker.file_problems import file_problem
from worker.sandbox.limits import ChildLimits
from worker.sandbox.parent import run_sandboxed

def problem(audio):
    raise file_problem("empty")

def away():
    raise Unavailable("Away.")

class Broken(io.BytesIO):
    def read(self, size=-1):
        away()

limits = ChildLimits(memory_bytes=1 << 26, cpu_seconds=60, wall_seconds=60)
tasks = [lambda audio: audio.read(1), problem, lambda audio: os._exit(1), lambda audio: os.abort()]
before = set(os.listdir("/dev/fd"))
raised = 0
for number in range(1000):
    audio = Broken(b"x") if number % 8 == 0 else io.BytesIO(b"x")
    try:
        run_sandboxed(tasks[number % 4], audio, limits=limits, on_tick=lambda: None)
    except Unavailable:
        raised += 1
left = set(os.listdir("/dev/fd")) - before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(raised, "raised", len(left), "files left, no child")
"""


def test_a_thousand_children_leave_no_process_and_no_open_file() -> None:
    # In a process of its own: the fork of one that has run all other tests takes ten times as long.
    done = subprocess.run([sys.executable, "-c", _THOUSAND], capture_output=True, text=True, check=True)
    assert done.stdout == "125 raised 0 files left, no child\n"


def test_a_child_that_the_machine_does_not_let_start_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(wire, "apply_limits", refuse)
    with pytest.raises(Unavailable):
        run(read_one_byte).unwrap()


def test_a_child_that_has_read_cannot_say_that_it_did_not_start() -> None:
    def lie(audio: BinaryIO) -> bytes:
        audio.read(1)
        os._exit(wire.SETUP_FAILED)

    assert isinstance(run(lie).problem, Undecodable)


def test_a_child_killed_for_want_of_memory_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = itertools.count()
    monkeypatch.setattr("worker.sandbox.parent.oom_kills", lambda: next(kills))
    outcome = run(read_one_byte, CallbackAudio(lambda: only_child().kill()))
    assert isinstance(outcome.problem, OutOfMemory)


def test_no_memory_for_a_file_is_told_by_its_number_too() -> None:
    def fail(_: BinaryIO) -> bytes:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    assert isinstance(run(fail).problem, TooComplex)
