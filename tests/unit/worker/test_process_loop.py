import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Unavailable
from tests.support.captured_logs import capture_logs
from worker.health_files import check
from worker.process_loop import Loop, run_until_signal, wait_until_available


@pytest.fixture(autouse=True)
def _restore_signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_continues_through_outages_and_bugs_until_a_signal(number: signal.Signals) -> None:
    rounds: list[int] = []
    written: list[int] = []

    def iterate() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise Unavailable("The job store does not answer.")
        if len(rounds) == 2:
            raise ZeroDivisionError("inside")
        if len(rounds) == 5:
            os.kill(os.getpid(), number)

    with capture_logs() as log:
        run_until_signal(
            Loop(
                name="tester",
                iterate=iterate,
                flush=lambda: written.append(len(rounds)),
                close=lambda: written.append(-1),
            )
        )
    assert rounds == [0, 1, 2, 3, 4]
    assert (written[0], written[-2:]) == (1, [-1, 5])
    assert [line["event"] for line in log.lines()] == [
        "tester_started",
        "iteration_interrupted",
        "iteration_failed",
        "tester_stopping",
    ]
    assert "ZeroDivisionError" in log.events("iteration_failed")[0]["exception"]


def test_a_second_loop_runs_in_a_thread_and_its_failures_do_not_stop_the_first() -> None:
    calls: list[str] = []
    failed = threading.Event()

    def fail() -> None:
        calls.append("second")
        failed.set()
        raise ZeroDivisionError("inside")

    def wait_and_stop() -> None:
        calls.append("first")
        if failed.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    with capture_logs() as log:
        run_until_signal(
            Loop(name="first", iterate=wait_and_stop, flush=lambda: None),
            Loop(name="second", iterate=fail, flush=lambda: None, close=lambda: calls.append("closed")),
        )
    assert {"first", "second"} <= set(calls)
    assert calls[-1] == "closed"
    assert {line["event"] for line in log.lines()} >= {"first_started", "second_started", "second_stopping"}


def test_a_process_waits_for_redis_and_says_once_why() -> None:
    answers = iter([Unavailable("Away."), Unavailable("Away."), Unavailable("Loading."), None])
    waited: list[int] = []

    def check() -> None:
        if (answer := next(answers)) is not None:
            raise answer from OSError("wrong password")

    with capture_logs() as log:
        wait_until_available(check, on_wait=lambda: waited.append(1), pause_seconds=0)
    lines = log.lines()
    assert [line["event"] for line in lines] == ["redis_awaited", "redis_awaited", "redis_found"]
    assert [line["reason"] for line in lines[:2]] == ["Away.", "Loading."]
    assert [line["cause"] for line in lines[:2]] == ["wrong password"] * 2
    assert len(waited) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_redis(number: signal.Signals) -> None:
    def check() -> None:
        os.kill(os.getpid(), number)
        raise Unavailable("Away.")

    with pytest.raises(SystemExit) as ended:
        wait_until_available(check)
    assert ended.value.code == 0


def test_a_loop_gives_a_sign_of_life_through_outages_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found: list[int] = []

    def iterate() -> None:
        found.append(check(["rescuer"]))
        os.kill(os.getpid(), signal.SIGTERM)
        raise Unavailable("Away.")

    run_until_signal(Loop(name="rescuer", iterate=iterate, flush=lambda: None))
    assert found == [0]
    assert check(["rescuer"]) == 1
    assert list(tmp_path.iterdir()) == []
