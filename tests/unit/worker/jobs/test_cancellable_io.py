"""A blocking call blocks only its own thread, and leaves no thread behind."""

import io
import threading
from collections.abc import Callable
from typing import BinaryIO, cast

import pytest

from shared.errors import AudioMissing, Unavailable
from worker.jobs.cancellable_io import CancellableIO

TIMEOUT_SECONDS = 60


class Stop(Exception):
    pass


def stop_after(ticks: int) -> Callable[[], None]:
    """An on_tick that raises after some calls."""
    counted = iter(range(ticks))

    def on_tick() -> None:
        if next(counted, None) is None:
            raise Stop

    return on_tick


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "cancellable-io"]


def test_a_call_returns_or_raises_what_its_function_does() -> None:
    with CancellableIO(stop_after(0)) as cancellable_io:
        assert cancellable_io.call(lambda: 432) == 432
        for error in (Unavailable("away"), MemoryError(), SystemExit(3)):
            with pytest.raises(type(error)) as raised:
                cancellable_io.call(
                    cast(Callable[[], None], lambda error=error: (_ for _ in ()).throw(error))
                )
            assert raised.value is error
        assert threads() == []


def test_on_tick_runs_while_a_call_blocks() -> None:
    ticks = threading.Semaphore(0)

    def wait_for_three_ticks() -> bool:
        return all(ticks.acquire(timeout=TIMEOUT_SECONDS) for _ in range(3))

    with CancellableIO(ticks.release) as cancellable_io:
        assert cancellable_io.call(wait_for_three_ticks)


def test_an_exception_of_on_tick_abandons_the_call_and_the_exit_waits_for_it() -> None:
    release = threading.Event()
    with CancellableIO(stop_after(2)) as cancellable_io:
        with pytest.raises(Stop):
            cancellable_io.call(lambda: release.wait(TIMEOUT_SECONDS))
        assert threads() == ["cancellable-io"]
        release.set()
    assert threads() == []


def test_a_file_is_read_in_the_thread_from_its_position() -> None:
    readers: set[str] = set()

    class Noted(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            readers.add(threading.current_thread().name)
            return super().readinto(buffer)  # type: ignore[arg-type]

    with (
        CancellableIO(stop_after(0)) as cancellable_io,
        cancellable_io.opened(lambda: Noted(b"0123456789")) as file,
    ):
        assert file.seek(-3, io.SEEK_END) == 7
        assert file.read(2) == b"78"
        assert file.read() == b"9"
        assert file.seek(2) == 2
        assert (file.read(3), file.tell()) == (b"234", 5)
    assert readers == {"cancellable-io"}


def test_opening_a_missing_file_raises_audio_missing() -> None:
    def missing() -> BinaryIO:
        raise AudioMissing("gone")

    with (
        CancellableIO(stop_after(0)) as cancellable_io,
        pytest.raises(AudioMissing),
        cancellable_io.opened(missing),
    ):
        pass


def test_a_call_that_times_out_raises_unavailable() -> None:
    release = threading.Event()
    with CancellableIO(lambda: None, timeout_seconds=0) as cancellable_io:
        with pytest.raises(Unavailable, match="storage"):
            cancellable_io.call(lambda: release.wait(TIMEOUT_SECONDS))
        assert threads() == ["cancellable-io"]
        release.set()
    assert threads() == []


def test_a_thread_that_cannot_start_raises_unavailable() -> None:
    before = threading.stack_size(1 << 46)  # more than any machine has, so that the kernel refuses
    try:
        with pytest.raises(Unavailable, match="thread"), CancellableIO(stop_after(0)) as cancellable_io:
            cancellable_io.call(lambda: 432)
    finally:
        threading.stack_size(before)
    assert threads() == []
