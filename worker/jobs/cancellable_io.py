"""Runs blocking calls, such as reads of our storage, in a thread, so that a job can be canceled meanwhile.

The S3 client only knows timeouts of many seconds, and a canceled job must end sooner. An abandoned call keeps
running in its thread; leaving the context manager waits for it, so that no fork happens while a thread works.
A fork may still meet a thread that is ending: Python reports a thread as ended just before the kernel does.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO, TypeVar, cast

from shared.errors import Unavailable
from worker.jobs.read_ahead import ReadAheadFile

CALL_TIMEOUT_SECONDS = 120.0
"""Longer than all retries and one whole read of our S3 client. A slower call receives a byte at a time."""

_TICK_SECONDS = 0.25
_THREAD_NAME = "cancellable-io"

Result = TypeVar("Result")


class CancellableIO:
    """Runs one call at a time. After an abandoned call, make no further calls."""

    def __init__(self, on_tick: Callable[[], None], *, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> None:
        """*on_tick* runs several times a second during each call; an exception from it abandons the call."""
        self.on_tick = on_tick
        self._timeout_seconds = timeout_seconds
        self._thread: threading.Thread | None = None
        self._files: list[ReadAheadFile] = []

    def __enter__(self) -> "CancellableIO":
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.join()
        for file in self._files:
            file.join()

    def call(self, work: Callable[[], Result]) -> Result:
        """Return or raise what *work* does, or raise what `on_tick` raises.

        Raises:
            Unavailable: the call timed out, or this process may not start a thread.
        """
        returned: list[Result] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                returned.append(work())
            except BaseException as error:  # re-raised in the caller's thread
                raised.append(error)

        deadline = time.monotonic() + self._timeout_seconds
        thread = threading.Thread(target=run, name=_THREAD_NAME, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise Unavailable("The worker cannot start another thread. Try again later.") from error
        self._thread = thread
        thread.join(_TICK_SECONDS)
        while thread.is_alive():
            self.on_tick()
            if time.monotonic() > deadline:
                raise Unavailable("The audio storage takes too long to respond. Try again later.")
            thread.join(_TICK_SECONDS)
        if raised:
            raise raised[0]
        return returned[0]

    @contextmanager
    def opened(self, open_file: Callable[[], BinaryIO]) -> Iterator[BinaryIO]:
        """A file that reads ahead, whose opening and reads are cancellable."""
        file = ReadAheadFile(
            self.call(open_file),
            self.on_tick,
            timeout_seconds=self._timeout_seconds,
            thread_name=_THREAD_NAME,
        )
        self._files.append(file)
        with closing(file):
            yield cast(BinaryIO, file)
