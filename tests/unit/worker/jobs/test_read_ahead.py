import io
import os
import random
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from shared.errors import Unavailable
from worker.jobs.read_ahead import ReadAheadFile

SONG = random.Random(1).randbytes(8_000_000)
AHEAD_BYTES = 2 << 20
BLOCK_BYTES = 256 << 10


class Storage(io.BytesIO):
    """Counts what is read, and waits for permission to read beyond `allowed_bytes`."""

    def __init__(self, content: bytes = SONG, *, allowed_bytes: int = 1 << 60) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []
        self.allowed_bytes = allowed_bytes
        self.changed = threading.Condition()

    def readinto(self, buffer: object) -> int:
        with self.changed:
            self.changed.wait_for(lambda: self.tell() < self.allowed_bytes)
            start = self.tell()
            count = super().readinto(buffer)  # type: ignore[arg-type]
            self.reads.append((start, count))
            self.changed.notify_all()
        return count

    def allow(self) -> None:
        with self.changed:
            self.allowed_bytes = 1 << 60
            self.changed.notify_all()

    def wait_until_read(self, offset: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.end >= offset, timeout=60)

    @property
    def end(self) -> int:
        return max((start + count for start, count in self.reads), default=0)


@contextmanager
def reading(storage: io.BytesIO, timeout_seconds: float = 60) -> Iterator[ReadAheadFile]:
    file = ReadAheadFile(storage, lambda: None, timeout_seconds=timeout_seconds, thread_name="test")
    with closing(file):
        yield file
    file.join()


def read_exactly(file: ReadAheadFile, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := file.read(size - len(found))):
        found += piece
    return found


def test_a_sequential_reader_gets_every_byte_once_and_finds_the_next_bytes_fetched() -> None:
    storage = Storage()
    with reading(storage) as file:
        for offset in range(0, 4_000_000, 100_000):
            assert read_exactly(file, 100_000) == SONG[offset : offset + 100_000]
        storage.wait_until_read(4_000_000 + AHEAD_BYTES - BLOCK_BYTES)
    assert [start for start, _ in storage.reads] == sorted({start for start, _ in storage.reads})


def test_never_more_than_two_mebibytes_are_fetched_ahead() -> None:
    storage = Storage()
    with reading(storage) as file:
        for offset in range(0, 5_000_000, 65_536):
            read_exactly(file, 65_536)
            assert storage.end <= offset + 65_536 + AHEAD_BYTES + BLOCK_BYTES


def test_a_reader_that_seeks_gets_the_bytes_at_its_position_and_few_others() -> None:
    storage = Storage()
    chance = random.Random(2)
    with reading(storage) as file:
        for _ in range(50):
            offset = chance.randrange(len(SONG))
            file.seek(offset)
            assert read_exactly(file, 1000) == SONG[offset : offset + 1000]
    assert sum(count for _, count in storage.reads) < 55 * 2 * BLOCK_BYTES


def test_going_back_to_the_start_reads_nothing_again() -> None:
    storage = Storage()
    with reading(storage) as file:
        read_exactly(file, 300_000)
        file.seek(0)
        assert read_exactly(file, 1000) == SONG[:1000]
        file.seek(0, os.SEEK_END)
        file.seek(4)
        assert read_exactly(file, 10) == SONG[4:14]
    assert [start for start, _ in storage.reads].count(0) == 1


def test_a_reader_that_looks_at_the_end_goes_on_where_it_was_and_reads_nothing_twice() -> None:
    storage = Storage()
    with reading(storage) as file:
        read_exactly(file, 100_000)
        file.seek(-128, os.SEEK_END)
        assert read_exactly(file, 128) == SONG[-128:]
        file.seek(60_000)
        assert read_exactly(file, 1_000_000) == SONG[60_000:1_060_000]
    starts = [start for start, _ in storage.reads]
    assert len(starts) == len(set(starts))
    assert set(starts) <= {*range(0, len(SONG), BLOCK_BYTES), len(SONG) - 128}


def test_an_error_at_the_end_does_not_keep_a_reader_from_going_on() -> None:
    class Broken(Storage):
        def readinto(self, buffer: object) -> int:
            if self.tell() > len(SONG) - BLOCK_BYTES:
                raise Unavailable("down")
            return super().readinto(buffer)

    with reading(Broken()) as file:
        assert read_exactly(file, 1000) == SONG[:1000]
        file.seek(-128, os.SEEK_END)
        with pytest.raises(Unavailable, match="down"):
            file.read(128)
        file.seek(1000)
        assert read_exactly(file, 300_000) == SONG[1000:301_000]
        file.seek(-128, os.SEEK_END)
        with pytest.raises(Unavailable, match="down"):
            file.read(128)


def test_the_end_of_the_file_is_the_end() -> None:
    with reading(Storage(b"0123")) as file:
        assert read_exactly(file, 10) == b"0123"
        assert file.read(10) == b""
        file.seek(100)
        assert file.read(10) == b""


def test_an_error_is_raised_where_it_happened_and_not_before() -> None:
    class Broken(Storage):
        def readinto(self, buffer: object) -> int:
            if self.tell() >= BLOCK_BYTES:
                raise Unavailable("down")
            return super().readinto(buffer)

    with reading(Broken()) as file:
        assert read_exactly(file, BLOCK_BYTES) == SONG[:BLOCK_BYTES]
        with pytest.raises(Unavailable, match="down"):
            file.read(1)
        file.seek(0)
        assert read_exactly(file, 10) == SONG[:10]


def test_a_read_that_hangs_times_out() -> None:
    storage = Storage(allowed_bytes=0)
    with reading(storage, timeout_seconds=0) as file:
        with pytest.raises(Unavailable, match="too long"):
            file.read(1)
        storage.allow()


def test_a_file_that_is_never_read_starts_no_thread_and_is_closed() -> None:
    storage = Storage()
    before = threading.active_count()
    with reading(storage):
        assert threading.active_count() == before
    assert storage.closed


def test_a_file_that_is_shorter_than_it_claims_ends() -> None:
    class Short(Storage):
        def readinto(self, buffer: object) -> int:
            return 0

    with reading(Short()) as file:
        assert file.read(10) == b""
