"""Calls that know no interruption, such as reads of our own storage, each in a thread beside a pulse.

The storage's client knows only timeouts of many seconds, and a canceled job must end before them. So a call
that nobody wants any more is left behind, but not for long: who leaves here waits until it has ended, so that
no fork meets a thread at work. It may meet one that is going: Python calls a thread ended just before the
kernel does.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from shared.errors import Unavailable
from shared.seekable_file import SeekableFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


CALL_SECONDS = 120.0
"""Longer than all tries and a whole read of our S3 client take: what lasts longer comes a byte at a time."""

_PULSE_SECONDS = 0.25

Result = TypeVar("Result")


class CancellableIO:
    """One call at a time. Nothing may be called any more after one was left behind."""

    def __init__(self, on_tick: Callable[[], None], *, call_seconds: float = CALL_SECONDS) -> None:
        """*on_tick* is called several times a second during each call; what it raises leaves the call.

        *call_seconds*: so long is a call waited for.
        """
        self.on_tick = on_tick
        self._call_seconds = call_seconds
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "CancellableIO":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.join()

    def call(self, work: Callable[[], Result]) -> Result:
        """What *work* returns or raises, or else what the pulse raises.

        Raises Unavailable where it takes too long, or this process may not start a thread.
        """
        returned: list[Result] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                returned.append(work())
            except BaseException as error:  # it is the caller's, not this thread's
                raised.append(error)

        until = time.monotonic() + self._call_seconds
        thread = threading.Thread(target=run, name="aside", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise Unavailable("The worker may not start another thread; try again later.") from error
        self._thread = thread
        thread.join(_PULSE_SECONDS)
        while thread.is_alive():
            self.on_tick()
            if time.monotonic() > until:
                raise Unavailable("The audio storage takes too long to answer; try again later.")
            thread.join(_PULSE_SECONDS)
        if raised:
            raise raised[0]
        return returned[0]

    @contextmanager
    def opened(self, open_file: Callable[[], BinaryIO]) -> Iterator[BinaryIO]:
        """A file whose opening and reads are such calls; moving in it must be none that waits."""
        with self.call(open_file) as file:
            yield cast(BinaryIO, _CancellableFile(file, self))


class _CancellableFile(SeekableFile):
    def __init__(self, file: BinaryIO, aside: CancellableIO) -> None:
        super().__init__(file.seek(0, os.SEEK_END))
        self._file = file
        self._aside = aside

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._file.seek(self._at)
        count = self._aside.call(lambda: self._file.readinto(buffer))  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO
        self._at += count
        return int(count)
