from pathlib import Path

import pytest

from local import log_files
from local.log_files import LogFiles


def test_each_process_has_a_file_and_only_local_appears_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = LogFiles(tmp_path / "logs", verbose=False)
    logs("api", "a request")
    logs("local", "api exited")
    logs.close()
    assert (tmp_path / "logs" / "api.log").read_text() == "a request\n"
    assert capsys.readouterr().err == "local   | api exited\n"


def test_verbose_shows_all_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = LogFiles(tmp_path, verbose=True)
    logs("valkey", "ready: 100 %")
    logs.close()
    assert capsys.readouterr().err == "valkey  | ready: 100 %\n"


def test_a_process_that_logs_forever_fills_no_disk(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path, verbose=False)
    for _ in range(5 * log_files.MAX_BYTES // 1_000_000):
        logs("s3", "x" * 999_999)
    logs.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s3.log", "s3.log.1"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * log_files.MAX_BYTES


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "api.log").mkdir()
    logs = LogFiles(tmp_path, verbose=True)
    logs("api", "a request")
    logs("api", "another")
    logs.close()
    assert capsys.readouterr().err == "api     | a request\napi     | another\n"
