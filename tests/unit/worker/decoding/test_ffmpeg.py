"""FFmpeg opens nothing but the bytes it is given and stays within its limits."""

import ctypes
import io
import multiprocessing
import os
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import BinaryIO

import av
import pytest

from shared.errors import TooComplex, Undecodable
from tests.support import hostile_files as hostile
from tests.support.audio_files import audio_file
from tests.support.long_m4a import long_m4a
from worker.decoding.decode import decode
from worker.decoding.ffmpeg import decode_with_ffmpeg
from worker.sandbox.limits import ChildLimits
from worker.sandbox.parent import run_sandboxed

LIMITS = ChildLimits(memory_bytes=96 << 20, cpu_seconds=20, wall_seconds=40)
LESS_THAN_AN_INDEX = ChildLimits(memory_bytes=66 << 20, cpu_seconds=60, wall_seconds=120)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield a listening socket whose queue shows if anything connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


class WatchedFile:
    """A recording in the working directory that knows if it was opened."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(audio_file("mp3-cbr"))
        self.name = path.name
        self._inotify = ctypes.CDLL(None).inotify_init1(os.O_NONBLOCK)
        in_open = 0x20
        assert ctypes.CDLL(None).inotify_add_watch(self._inotify, os.fsencode(path), in_open) >= 0

    def was_opened(self) -> bool:
        try:
            return len(os.read(self._inotify, 4096)) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._inotify)


@pytest.fixture
def sibling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedFile]:
    if sys.platform != "linux":
        pytest.skip("only inotify, which Linux has, reports whether a file was opened")
    monkeypatch.chdir(tmp_path)
    watched = WatchedFile(tmp_path / "sibling.mp3")
    yield watched
    watched.close()


class Named(io.BytesIO):
    """An upload that kept its client's name."""

    name = "song.m3u8"


def received_connection(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("scheme", ["http", "https", "tcp", "ftp", "rtmp", "rtsp", "hls+http"])
@pytest.mark.parametrize("kind", hostile.PLAYLISTS)
def test_playlists_cause_no_request(kind: str, scheme: str, listener: socket.socket) -> None:
    playlist = hostile.PLAYLISTS[kind](f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/song.ts")
    with pytest.raises(Undecodable):
        decode(Named(playlist), start_seconds=0, window_seconds=60)
    assert not received_connection(listener)


@pytest.mark.parametrize("kind", hostile.PLAYLISTS)
def test_playlists_open_no_other_file(kind: str, sibling: WatchedFile) -> None:
    for target in (sibling.name, f"file:{sibling.name}", str(Path(sibling.name).resolve())):
        with pytest.raises(Undecodable):
            decode(Named(hostile.PLAYLISTS[kind](target)), start_seconds=0, window_seconds=60)
    assert not sibling.was_opened()


def test_a_session_description_opens_no_stream() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Undecodable):
            decode(io.BytesIO(hostile.sdp(taken.getsockname()[1])), start_seconds=0, window_seconds=60)


def test_these_tests_fail_for_a_decoder_without_our_options(
    listener: socket.socket, sibling: WatchedFile
) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/song.ts"
    with pytest.raises((av.FFmpegError, OSError)):
        av.open(Named(hostile.hls(address)), mode="r", timeout=0.5)
    assert received_connection(listener)
    with av.open(io.BytesIO(hostile.ffconcat(sibling.name)), mode="r", options={"safe": "0"}) as container:
        assert next(container.decode(audio=0))
    assert sibling.was_opened()


@pytest.mark.parametrize("channels", [8, 9, 16, 32])
def test_channels_that_pyav_reads_through_wild_pointers_are_decoded(channels: int) -> None:
    def task(file: BinaryIO) -> bytes:
        decode_with_ffmpeg(file, start_seconds=0, window_seconds=60)
        return b""

    audio = io.BytesIO(hostile.opus_with_channels(channels))
    outcome = run_sandboxed(task, audio, limits=LIMITS, on_tick=lambda: None)
    assert outcome.answer == b"", outcome.detail


@pytest.mark.parametrize("kind", ["mp4-false-table", "compressed-moov"])
def test_memory_claims_that_pass_the_header_check_are_a_problem_of_the_file(kind: str) -> None:
    def task(file: BinaryIO) -> bytes:
        decode_with_ffmpeg(file, start_seconds=0, window_seconds=60)
        return b""

    audio = io.BytesIO(hostile.hostile_file(kind))
    outcome = run_sandboxed(task, audio, limits=LIMITS, on_tick=lambda: None)
    assert isinstance(outcome.problem, TooComplex)


def problem_of_a_long_index(limits: ChildLimits) -> str:
    """The code and the message, empty if there is none."""

    def task(file: BinaryIO) -> bytes:
        decode(file, start_seconds=0, window_seconds=60)
        return b""

    outcome = run_sandboxed(task, io.BytesIO(long_m4a(hours=14.0)), limits=limits, on_tick=lambda: None)
    problem = outcome.problem
    return f"{problem.code}: {problem.message}" if problem else ""


def test_an_index_that_is_too_long_for_the_memory_is_not_told_as_a_file_without_audio() -> None:
    # In a new process: a child can use what is free of the memory of the one that it is forked from.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        found = process.submit(problem_of_a_long_index, LESS_THAN_AN_INDEX).result()
        assert re.match(r"too_complex: .*index", found)
        roomy = ChildLimits(memory_bytes=256 << 20, cpu_seconds=60, wall_seconds=120)
        assert process.submit(problem_of_a_long_index, roomy).result() == ""


def test_samples_without_chunks_are_a_damaged_index() -> None:
    file = bytearray(audio_file("m4a"))
    chunks = file.index(b"stco") + 8
    file[chunks : chunks + 4] = bytes(4)
    for start in (0.0, 0.5):
        with pytest.raises(TooComplex, match="index is damaged"):
            decode(io.BytesIO(file), start_seconds=start, window_seconds=60)
