import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.__main__ import main
from worker.health.watchdog import watch
from worker.health_files import check, record_health, remove_health

GONE = 1 << 22
"""No process has so large a number: see proc(5), pid_max."""


def test_a_worker_is_healthy_while_its_watchdog_finds_nothing(tmp_path: Path) -> None:
    record_health(os.getpid(), None, folder=tmp_path)
    assert check(folder=tmp_path) == 0


def test_a_worker_is_unhealthy_for_the_watchdogs_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_health(os.getpid(), "no recent heartbeat", folder=tmp_path)
    assert check(folder=tmp_path) == 1
    assert capsys.readouterr().err == "unhealthy: no recent heartbeat\n"


def test_one_healthy_worker_is_enough(tmp_path: Path) -> None:
    record_health(os.getppid(), "no recent heartbeat", folder=tmp_path)
    record_health(os.getpid(), None, folder=tmp_path)
    assert check(folder=tmp_path) == 0


@pytest.mark.parametrize("text", ["", "x", "nan\n", "1e30\n", "-1\n"], ids=repr)
def test_a_silent_watchdog_makes_its_worker_unhealthy(tmp_path: Path, text: str) -> None:
    record_health(os.getpid(), None, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert check(folder=tmp_path) == 1
    file.write_text(f"{time.monotonic() - 100}\n")
    assert check(folder=tmp_path) == 1


def test_a_machine_without_a_living_worker_is_unhealthy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_health(GONE, None, folder=tmp_path)
    record_health(os.getpid(), None, folder=tmp_path)
    remove_health(os.getpid(), folder=tmp_path)
    assert check(folder=tmp_path) == 1
    assert "no worker runs on this machine" in capsys.readouterr().err


def test_no_link_of_another_user_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / f"kammerton-worker-{os.getpid()}").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        record_health(os.getpid(), None, folder=tmp_path)
    assert victim.read_text() == "kept"


def test_the_watchdog_records_each_result_even_without_room_for_files() -> None:
    found = iter([None, "bad", "bad", "bad"])
    recorded: list[str | None] = []

    def record(problem: str | None) -> None:
        recorded.append(problem)
        raise OSError("no space")

    watch(lambda: next(found), kill=lambda: None, record=record, sleep=lambda _: None)
    assert recorded == [None, None, "bad", "bad", "bad"]


def test_a_health_check_loads_next_to_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from worker.__main__ import main\n"
        "main(['healthcheck'])\n"
        "print({'boto3', 'celery', 'pydantic', 'redis', 'structlog'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stdout == "set()\n"


def test_each_process_that_is_asked_for_must_be_healthy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_health(os.getpid(), None, process="rescuer", folder=tmp_path)
    assert check(["rescuer"], folder=tmp_path) == 0
    assert check(["rescuer", "notifier"], folder=tmp_path) == 1
    assert "no notifier runs on this machine" in capsys.readouterr().err
    record_health(os.getpid(), None, process="notifier", folder=tmp_path)
    assert check(["rescuer", "notifier"], folder=tmp_path) == 0
    assert check(folder=tmp_path) == 1, "neither of them is a worker"


def test_a_loop_may_be_silent_for_longer_than_a_watchdog_but_not_for_ever(tmp_path: Path) -> None:
    record_health(os.getpid(), None, process="rescuer", folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(f"{time.monotonic() - 500}\n")
    assert check(["rescuer"], folder=tmp_path) == 0
    file.write_text(f"{time.monotonic() - 700}\n")
    assert check(["rescuer"], folder=tmp_path) == 1


def test_an_unknown_process_is_a_mistake_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "sweeper"]) == 2
    assert "sweeper is none of worker, rescuer, notifier" in capsys.readouterr().err
