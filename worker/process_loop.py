"""The main loop of a process: repeats one step until a signal, through outages and bugs of single steps."""

import signal
import threading
import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.observability.logs import get_logger

_log = get_logger(__name__)

_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_FLUSH_SECONDS = 5.0


def run_until_signal(
    process: str, iterate: Callable[[], object], *, flush: Callable[[], None], pause_seconds: float = 0.0
) -> None:
    """Call *iterate* until SIGTERM or SIGINT, with a pause after each call. Main thread only.

    *flush* sends metrics and traces. It runs every few seconds, but not after the last iteration.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _log.info(f"{process}_started")
    next_flush = 0.0
    while not stop.is_set():
        pause = pause_seconds
        try:
            iterate()
        except Unavailable as error:
            _log.warning("iteration_interrupted", reason=error.message)
            pause = max(pause, _PAUSE_AFTER_FAILURE_SECONDS)
        except Exception:
            _log.exception("iteration_failed")
            pause = max(pause, _PAUSE_AFTER_FAILURE_SECONDS)
        if time.monotonic() >= next_flush:
            flush()
            next_flush = time.monotonic() + _FLUSH_SECONDS
        stop.wait(pause)
    _log.info(f"{process}_stopping")
