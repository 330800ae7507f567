import os
import signal
from collections.abc import Iterator

import pytest

from shared.errors import Unavailable
from tests.support.captured_logs import capture_logs
from worker.process_loop import run_until_signal


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

    def round() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise Unavailable("The job store does not answer.")
        if len(rounds) == 2:
            raise ZeroDivisionError("inside")
        if len(rounds) == 5:
            os.kill(os.getpid(), number)

    with capture_logs() as log:
        run_until_signal("tester", round, flush=lambda: written.append(len(rounds)))
    assert rounds == [0, 1, 2, 3, 4]
    assert written[0] == 1
    assert [line["event"] for line in log.lines()] == [
        "tester_started",
        "iteration_interrupted",
        "iteration_failed",
        "tester_stopping",
    ]
    assert "ZeroDivisionError" in log.events("iteration_failed")[0]["exception"]
