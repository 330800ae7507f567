"""The life of a process that works in rounds: until a signal, through outages and bugs of single rounds."""

import signal
import threading
import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.observability.logs import get_logger

_log = get_logger(__name__)

_AFTER_FAILURE_SECONDS = 1.0
_WRITE_SECONDS = 5.0


def run_rounds(
    process: str, round: Callable[[], object], *, write: Callable[[], None], pause_seconds: float = 0.0
) -> None:
    """Call `round` until SIGTERM or SIGINT, with a pause after each. From the main thread only.

    `write` sends off what was counted and traced; called every few seconds, and not after the last round.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _log.info(f"{process}_started")
    next_write = 0.0
    while not stop.is_set():
        pause = pause_seconds
        try:
            round()
        except Unavailable as error:
            _log.warning("round_broken_off", why=error.message)
            pause = max(pause, _AFTER_FAILURE_SECONDS)
        except Exception:
            _log.exception("round_failed")
            pause = max(pause, _AFTER_FAILURE_SECONDS)
        if time.monotonic() >= next_write:
            write()
            next_write = time.monotonic() + _WRITE_SECONDS
        stop.wait(pause)
    _log.info(f"{process}_stopping")
