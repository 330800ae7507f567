"""Calls that know no interruption, such as reads of our own storage, each in a thread beside a pulse.

The storage's client knows only timeouts of many seconds, and a canceled job must end before them. So a call
that nobody wants any more is left behind, but not for long: who leaves here waits until it has ended, since a
process that forks must have one thread.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from shared.seekable import SeekableFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PULSE_SECONDS = 0.25

Result = TypeVar("Result")


class Aside:
    """One call at a time. Nothing may be called any more after the pulse has raised."""

    def __init__(self, keep_going: Callable[[], None]) -> None:
        """*keep_going* is called several times a second during each call; what it raises leaves the call."""
        self.keep_going = keep_going
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Aside":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.join()

    def call(self, work: Callable[[], Result]) -> Result:
        """What *work* returns or raises, or else what the pulse raises."""
        returned: list[Result] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                returned.append(work())
            except BaseException as error:  # it is the caller's, not this thread's
                raised.append(error)

        self._thread = threading.Thread(target=run, name="aside", daemon=True)
        self._thread.start()
        self._thread.join(_PULSE_SECONDS)
        while self._thread.is_alive():
            self.keep_going()
            self._thread.join(_PULSE_SECONDS)
        if raised:
            raise raised[0]
        return returned[0]

    @contextmanager
    def opened(self, open_file: Callable[[], BinaryIO]) -> Iterator[BinaryIO]:
        """A file whose opening and reads are such calls; moving in it must be none that waits."""
        with self.call(open_file) as file:
            yield cast(BinaryIO, _AsideFile(file, self))


class _AsideFile(SeekableFile):
    def __init__(self, file: BinaryIO, aside: Aside) -> None:
        super().__init__(file.seek(0, os.SEEK_END))
        self._file = file
        self._aside = aside

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._file.seek(self._at)
        count = self._aside.call(lambda: self._file.readinto(buffer))  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO
        self._at += count
        return int(count)
