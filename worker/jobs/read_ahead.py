"""A file whose reads run in a thread, ahead of the reader: storage sends the next bytes during decoding."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from shared.errors import Unavailable
from shared.seekable_file import SeekableFile

_BLOCK_BYTES = 256 << 10
_MAX_AHEAD_BYTES = 2 << 20
_KEPT_BYTES = 1 << 20
"""Decoders go back to the start of a file while they look for its format."""
_TICK_SECONDS = 0.25


@dataclass(slots=True, eq=False)
class _Run:
    """Blocks that follow each other, and what was met after them."""

    start: int
    """Offset of the first block."""
    end: int
    """Offset after the last block, which is the next one to fetch."""
    blocks: deque[bytearray] = field(default_factory=deque)
    target: int = 0
    """Offset up to which the thread fetches."""
    read_until: int = -1
    """Offset after what was read last."""
    ahead_bytes: int = 0
    at_end: bool = False
    error: BaseException | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether another block is to be fetched."""
        return self.end < self.target and self.error is None and not self.at_end

    def has(self, offset: int) -> bool:
        """Whether *offset* is within the run or at its end."""
        return self.start <= offset <= self.end

    def aim(self, offset: int, size: int, *, file_bytes: int) -> None:
        """Fetch the bytes at *offset*, and some ahead of them if they are the next ones."""
        if offset == self.read_until:
            self.ahead_bytes = min(max(2 * self.ahead_bytes, _BLOCK_BYTES), _MAX_AHEAD_BYTES)
        self.target = min(offset + size + self.ahead_bytes, file_bytes)

    def copy(self, view: memoryview, offset: int) -> int:
        """Copy what is there, and forget blocks that are far behind."""
        copied = 0
        at = self.start
        for block in self.blocks:
            if offset + copied < at + len(block) and copied < len(view):
                piece = memoryview(block)[offset + copied - at :][: len(view) - copied]
                view[copied : copied + len(piece)] = piece
                copied += len(piece)
            at += len(block)
        self.read_until = offset + copied
        while self.blocks and self.start + len(self.blocks[0]) + _KEPT_BYTES <= offset:
            self.start += len(self.blocks.popleft())
        return copied

    def add(self, block: bytearray, error: BaseException | None) -> None:
        """Add the next block. Without a byte and an error, the file ends here."""
        self.error = error
        self.at_end = error is None and not block
        if block:
            self.blocks.append(block)
            self.end += len(block)


class ReadAheadFile(SeekableFile):
    """Reads *file* in a thread of its own, in blocks. The more a reader reads in sequence, the further ahead.

    `close` tells the thread to close *file* and end; `join` waits for that. A read that hangs delays `join`,
    but not longer than the file's own timeout.
    """

    def __init__(
        self, file: BinaryIO, on_tick: Callable[[], None], *, timeout_seconds: float, thread_name: str
    ) -> None:
        """*on_tick* runs several times a second while a read waits; an exception from it ends the read."""
        super().__init__(file.seek(0, os.SEEK_END))
        self._file = file
        self._on_tick = on_tick
        self._timeout_seconds = timeout_seconds
        self._thread = threading.Thread(target=self._fetch, name=thread_name, daemon=True)
        self._changed = threading.Condition()
        self._run = self._aside = _Run(0, 0, read_until=0)
        """The run before a seek: a decoder looks at the end of a file, and then goes on where it was."""
        self._stopped = False

    def close(self) -> None:
        """End the thread, but do not wait for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.ident is None:
            self._file.close()
        super().close()

    def join(self) -> None:
        """Wait until the thread has ended. Call after `close`."""
        if self._thread.ident is not None:
            self._thread.join()

    def _read_into(self, view: memoryview, offset: int) -> int:
        """Copy the fetched bytes at *offset*, at least one.

        Raises:
            Unavailable: the timeout is over, or this process cannot start a thread.
            Exception: whatever reading the file or `on_tick` raises.
        """
        with self._changed:
            self._aim(offset, len(view))
        if self._thread.ident is None:
            try:
                self._thread.start()
            except RuntimeError as error:
                raise Unavailable("The worker cannot start another thread. Try again later.") from error
        deadline = time.monotonic() + self._timeout_seconds
        next_tick = time.monotonic() + _TICK_SECONDS
        while True:
            with self._changed:
                run = self._run
                if run.end == offset and run.error is None and not run.at_end:
                    self._changed.wait(max(0.0, next_tick - time.monotonic()))
                if run.end > offset:
                    return run.copy(view, offset)
                if run.error is not None:
                    raise run.error
                if run.at_end:
                    return 0
            if time.monotonic() >= next_tick:
                self._on_tick()
                if time.monotonic() > deadline:
                    raise Unavailable("The audio storage takes too long to respond. Try again later.")
                next_tick = time.monotonic() + _TICK_SECONDS

    def _aim(self, offset: int, size: int) -> None:
        """Set what the thread fetches next."""
        if not self._run.has(offset):
            before = self._run
            self._run = self._aside if self._aside.has(offset) else _Run(offset, offset)
            self._run.error, self._run.at_end = None, False
            self._aside = before
        self._run.aim(offset, size, file_bytes=self.size_bytes)
        self._changed.notify_all()

    def _fetch(self) -> None:
        with self._file:  # closed here, because closing a file waits for a read of another thread
            self._fetch_blocks()

    def _fetch_blocks(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._run.is_wanted)
                if self._stopped:
                    return
                run = self._run
                offset = run.end
            block, error = bytearray(min(_BLOCK_BYTES, self.size_bytes - offset)), None
            try:
                self._file.seek(offset)
                count = self._file.readinto(block)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO
                del block[count:]
            except BaseException as raised:  # raised again in the reader's thread
                block, error = bytearray(), raised
            with self._changed:
                run.add(block, error)
                self._changed.notify_all()
