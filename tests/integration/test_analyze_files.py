import json
import subprocess
import sys
from pathlib import Path

from tests.support.audio_files import audio_file

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_each_file_has_one_line_and_a_bad_one_sets_the_exit_status(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.mp3", tmp_path / "b.mp3"
    good.write_bytes(audio_file("mp3-cbr", seconds=3.0))
    bad.write_text("no music")
    ended = run(str(good), str(bad), str(tmp_path / "missing.mp3"))
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 1
    assert [line["file"] for line in lines] == [str(good), str(bad), str(tmp_path / "missing.mp3")]
    assert lines[0]["verdict"] == "440"
    assert lines[0]["audio"]["container"] == "mp3"
    assert lines[1]["problem"]["code"] in {"undecodable", "no_audio"}
    assert lines[2]["problem"]["code"] == "unreadable"
    assert run(str(good)).returncode == 0


def test_without_a_file_it_shows_the_usage() -> None:
    ended = run()
    assert ended.returncode == 2
    assert "FILE" in ended.stderr


def test_a_plot_is_written_on_request(tmp_path: Path) -> None:
    song, picture = tmp_path / "a.flac", tmp_path / "a.png"
    song.write_bytes(audio_file("flac", seconds=3.0))
    assert run("--plot", str(picture), str(song)).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("--plot", str(picture), str(song), str(song)).returncode == 2
