"""A file whose reads run in a thread, ahead of the reader: storage sends the next bytes during decoding."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

from shared.errors import Unavailable
from shared.seekable_file import SeekableFile

_BLOCK_BYTES = 256 << 10
_MAX_AHEAD_BYTES = 2 << 20
_KEPT_BYTES = 1 << 20
"""Decoders go back to the start of a file while they look for its format."""
_TICK_SECONDS = 0.25


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
        self._blocks: deque[bytearray] = deque()
        self._start = 0
        """Offset of the first block."""
        self._end = 0
        """Offset after the last block, which is the next one to fetch."""
        self._target = 0
        """Offset up to which the thread fetches."""
        self._ahead_bytes = 0
        self._sequence = 0
        """Raised by a seek out of the blocks: a block that is fetched meanwhile is of no use."""
        self._read_until = 0
        self._at_end = False
        self._error: BaseException | None = None
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
                if self._end == offset and self._error is None and not self._at_end:
                    self._changed.wait(max(0.0, next_tick - time.monotonic()))
                if self._end > offset:
                    return self._copy(view, offset)
                if self._error is not None:
                    raise self._error
                if self._at_end:
                    return 0
            if time.monotonic() >= next_tick:
                self._on_tick()
                if time.monotonic() > deadline:
                    raise Unavailable("The audio storage takes too long to respond. Try again later.")
                next_tick = time.monotonic() + _TICK_SECONDS

    def _aim(self, offset: int, size: int) -> None:
        """Set what the thread fetches next."""
        if not self._start <= offset <= self._end:
            self._blocks.clear()
            self._start = self._end = offset
            self._sequence += 1
            self._ahead_bytes = 0
            self._at_end = False
            self._error = None
        elif offset == self._read_until:
            self._ahead_bytes = min(max(2 * self._ahead_bytes, _BLOCK_BYTES), _MAX_AHEAD_BYTES)
        self._target = min(offset + size + self._ahead_bytes, self.size_bytes)
        self._changed.notify_all()

    def _copy(self, view: memoryview, offset: int) -> int:
        """Copy what is there, and forget blocks that are far behind."""
        copied = 0
        at = self._start
        for block in self._blocks:
            if offset + copied < at + len(block) and copied < len(view):
                piece = memoryview(block)[offset + copied - at :][: len(view) - copied]
                view[copied : copied + len(piece)] = piece
                copied += len(piece)
            at += len(block)
        self._read_until = offset + copied
        while self._blocks and self._start + len(self._blocks[0]) + _KEPT_BYTES <= offset:
            self._start += len(self._blocks.popleft())
        return copied

    def _fetch(self) -> None:
        with self._file:  # closed here, because closing a file waits for a read of another thread
            self._fetch_blocks()

    def _fetch_blocks(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or (self._end < self._target and not (self._error or self._at_end))
                )
                if self._stopped:
                    return
                offset, sequence = self._end, self._sequence
            block, error = bytearray(min(_BLOCK_BYTES, self.size_bytes - offset)), None
            count = 0
            try:
                self._file.seek(offset)
                count = self._file.readinto(block)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO
            except BaseException as raised:  # raised again in the reader's thread
                error = raised
            with self._changed:
                if sequence == self._sequence:
                    self._error = error
                    self._at_end = error is None and count == 0
                    if count:
                        del block[count:]
                        self._blocks.append(block)
                        self._end += count
                self._changed.notify_all()
