from pathlib import Path

import pytest

from cli.main import FAILED, OK, USAGE_ERROR, main
from shared.version import VERSION


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == OK
    assert capsys.readouterr().out == f"kammerton {VERSION}\n"


def test_the_help_lists_commands_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == OK
    text = capsys.readouterr().out
    for expected in ("analyze", "run", "keys", "Exit status:", "130", "141"):
        assert expected in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["analyze"],
        ["analyze", "--json", "--csv", "a.mp3"],
        ["analyze", "-", "-"],
        ["analyze", "--window", "0", "a.mp3"],
        ["analyze", "--start", "-1", "a.mp3"],
        ["analyze", "--plot", "out.png", "a.mp3", "b.mp3"],
    ],
)
def test_wrong_usage_is_reported_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == USAGE_ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Error: " in captured.err


def test_keys_without_a_running_service_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAMMERTON_REDIS_URL", raising=False)
    assert main(["keys", "--data-dir", str(tmp_path), "list"]) == FAILED
    assert "kammerton run" in capsys.readouterr().err
