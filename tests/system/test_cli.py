"""The `kammerton` command as people and programs use it: real processes, terminals, and services."""

import csv
import fcntl
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.audio_files import audio_file

ROOT = Path(__file__).parents[2]
KAMMERTON = str(ROOT / "cli" / "kammerton")
SECONDS = 120
NOT_IGNORING_INTERRUPTS = ("env", "--default-signal=INT")
"""A shell that starts the tests in the background makes them ignore SIGINT, and what they start."""


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    for name in ("one.flac", "two.flac", "three.flac"):
        (folder / name).write_bytes(audio_file("flac", seconds=3.0))
    (folder / "broken.mp3").write_bytes(b"not audio")
    return folder


def kammerton(
    *arguments: str, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [KAMMERTON, *arguments], input=stdin, capture_output=True, timeout=SECONDS, check=False, cwd=cwd
    )


def test_a_folder_is_analyzed_from_any_place(songs: Path, tmp_path: Path) -> None:
    found = kammerton("analyze", "--json", "songs", cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["file"] for line in lines] == [
        f"songs/{name}" for name in ("broken.mp3", "one.flac", "three.flac", "two.flac")
    ]
    assert lines[0]["problem"]["code"] == "undecodable"
    assert all("verdict" in line for line in lines[1:])
    assert found.stderr == b""


def test_standard_input_is_analyzed(songs: Path) -> None:
    found = kammerton("analyze", "--csv", "-", stdin=(songs / "one.flac").read_bytes())
    assert found.returncode == 0, found.stderr
    assert [row["file"] for row in csv.DictReader(io.StringIO(found.stdout.decode()))] == ["-"]


def test_a_plot_is_written_beside_the_result(songs: Path, tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    found = kammerton("analyze", "--json", "--plot", str(picture), str(songs / "one.flac"))
    assert (found.returncode, found.stderr) == (0, b"")
    assert "verdict" in json.loads(found.stdout)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_one_sentence(songs: Path, tmp_path: Path) -> None:
    found = kammerton("analyze", "--plot", str(tmp_path / "no folder" / "one.png"), str(songs / "one.flac"))
    assert found.returncode == 1
    assert b"Error: The plot can't be written to" in found.stderr
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize("command", [[], ["analyze"], ["run"], ["keys"], ["keys", "create"]])
def test_the_linked_command_helps_from_any_folder(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "kammerton").symlink_to(KAMMERTON)
    shown = subprocess.run(
        ["./kammerton", *command, "--help"], capture_output=True, timeout=SECONDS, check=False, cwd=tmp_path
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout.lower().startswith(b"usage: kammerton")


def test_a_table_that_nobody_reads_ends_it_quietly(songs: Path) -> None:
    with subprocess.Popen(
        [KAMMERTON, "analyze", str(songs / "one.flac")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


def test_a_closed_pipe_ends_it_quietly(songs: Path) -> None:
    with subprocess.Popen(
        [KAMMERTON, "analyze", "--json", str(songs)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 141


def test_ctrl_c_ends_it_without_a_traceback(songs: Path) -> None:
    with subprocess.Popen(
        [*NOT_IGNORING_INTERRUPTS, KAMMERTON, "analyze", "--json", *[str(songs)] * 50],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        assert process.wait(SECONDS) == 130
        assert process.stderr.read() == b"Interrupted.\n"


def test_ctrl_c_ends_it_while_nobody_reads_the_output(songs: Path) -> None:
    with subprocess.Popen(
        [*NOT_IGNORING_INTERRUPTS, KAMMERTON, "analyze", "--json", *[str(songs)] * 50],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pipesize=4096,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            wait_until_the_pipe_is_full(process)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(SECONDS) == 130
        finally:
            process.kill()
        assert process.stderr.read() == b"Interrupted.\n"


def wait_until_the_pipe_is_full(process: "subprocess.Popen[bytes]") -> None:
    """Wait until there is output, and for two seconds no more of it: the next line has no room."""
    assert process.stdout is not None
    seen, since, end = 0, time.monotonic(), time.monotonic() + SECONDS
    while not seen or time.monotonic() < since + 2.0:
        assert process.poll() is None
        assert time.monotonic() < end, "there is no output, or no end of it"
        waiting = int.from_bytes(fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)
        if waiting != seen:
            seen, since = waiting, time.monotonic()
        time.sleep(0.05)


def test_a_terminal_shows_a_table_and_progress(songs: Path) -> None:
    ours, its = pty.openpty()
    with subprocess.Popen(
        [KAMMERTON, "analyze", str(songs)],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(its)
        shown = bytearray()
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait(SECONDS) == 1
    os.close(ours)
    text = shown.decode()
    assert "4/4" in text
    assert "Probability" in text
    assert "Traceback" not in text


def test_keys_reach_a_running_instance_until_ctrl_c(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [
                *NOT_IGNORING_INTERRUPTS,
                KAMMERTON,
                "run",
                "--port",
                "0",
                "--data-dir",
                str(data),
                "--workers",
                "1",
            ],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=tmp_path,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"ready http://127.0.0.1:")
            made = kammerton("keys", "--data-dir", str(data), "create", "my phone")
            assert made.returncode == 0, made.stderr
            assert made.stdout.startswith(b"kam_")
            listed = kammerton("keys", "--data-dir", str(data), "list")
            assert b"my phone" in listed.stdout
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
        finally:
            process.terminate()
            process.wait(SECONDS)
    assert "Dashboard" in log.read_text()
    assert "Traceback" not in log.read_text()
    deadline = time.monotonic() + SECONDS
    while (data / "connection.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert kammerton("keys", "--data-dir", str(data), "list").returncode == 1
