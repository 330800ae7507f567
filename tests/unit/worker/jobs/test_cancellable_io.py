"""A call that blocks holds up nobody but its own thread, and leaves none behind."""

import io
import threading
from collections.abc import Callable
from typing import BinaryIO, cast

import pytest

from shared.errors import AudioMissing, Unavailable
from worker.jobs.cancellable_io import CancellableIO

PATIENCE_SECONDS = 60


class Enough(Exception):
    pass


def after(beats: int) -> Callable[[], None]:
    """A pulse that ends things."""
    counted = iter(range(beats))

    def beat() -> None:
        if next(counted, None) is None:
            raise Enough

    return beat


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "cancellable-io"]


def test_a_call_gives_what_it_returns_or_raises() -> None:
    with CancellableIO(after(0)) as cancellable_io:
        assert cancellable_io.call(lambda: 432) == 432
        for error in (Unavailable("away"), MemoryError(), SystemExit(3)):
            with pytest.raises(type(error)) as raised:
                cancellable_io.call(
                    cast(Callable[[], None], lambda error=error: (_ for _ in ()).throw(error))
                )
            assert raised.value is error
        assert threads() == []


def test_the_pulse_beats_while_a_call_blocks() -> None:
    beaten = threading.Semaphore(0)

    def wait_for_three_beats() -> bool:
        return all(beaten.acquire(timeout=PATIENCE_SECONDS) for _ in range(3))

    with CancellableIO(beaten.release) as cancellable_io:
        assert cancellable_io.call(wait_for_three_beats)


def test_what_the_pulse_raises_leaves_the_call_behind_until_the_end() -> None:
    let_go = threading.Event()
    with CancellableIO(after(2)) as cancellable_io:
        with pytest.raises(Enough):
            cancellable_io.call(lambda: let_go.wait(PATIENCE_SECONDS))
        assert threads() == ["cancellable-io"]
        let_go.set()
    assert threads() == []


def test_a_file_is_read_aside_from_wherever_it_was_moved_to() -> None:
    readers: set[str] = set()

    class Noted(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            readers.add(threading.current_thread().name)
            return super().readinto(buffer)  # type: ignore[arg-type]

    with (
        CancellableIO(after(0)) as cancellable_io,
        cancellable_io.opened(lambda: Noted(b"0123456789")) as file,
    ):
        assert file.seek(-3, io.SEEK_END) == 7
        assert file.read(2) == b"78"
        assert file.read() == b"9"
        assert file.seek(2) == 2
        assert (file.read(3), file.tell()) == (b"234", 5)
    assert readers == {"cancellable-io"}


def test_a_file_that_is_not_there_is_said_to_be_missing() -> None:
    def missing() -> BinaryIO:
        raise AudioMissing("gone")

    with (
        CancellableIO(after(0)) as cancellable_io,
        pytest.raises(AudioMissing),
        cancellable_io.opened(missing),
    ):
        pass


def test_a_call_that_outlasts_all_patience_is_left_behind_as_storage_that_is_away() -> None:
    let_go = threading.Event()
    with CancellableIO(lambda: None, timeout_seconds=0) as cancellable_io:
        with pytest.raises(Unavailable, match="storage"):
            cancellable_io.call(lambda: let_go.wait(PATIENCE_SECONDS))
        assert threads() == ["cancellable-io"]
        let_go.set()
    assert threads() == []


def test_where_no_thread_can_be_started_another_try_may_and_nothing_is_waited_for() -> None:
    before = threading.stack_size(1 << 46)  # more than any machine has, so that the kernel refuses
    try:
        with pytest.raises(Unavailable, match="thread"), CancellableIO(after(0)) as cancellable_io:
            cancellable_io.call(lambda: 432)
    finally:
        threading.stack_size(before)
    assert threads() == []
