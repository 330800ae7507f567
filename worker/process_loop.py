"""The main loops of a process: each repeats one step until a signal, through outages and bugs.

Each writes that it goes round to a file, for `python -m worker healthcheck`.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from worker.health_files import record_health, remove_health

_log = get_logger(__name__)

_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_SIGN_OF_LIFE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One task of a process."""

    name: str
    iterate: Callable[[], object]
    flush: Callable[[], None]
    """Sends metrics and traces. Runs every few seconds, and once after `close`."""
    pause_seconds: float = 0.0
    """After each iteration."""
    close: Callable[[], None] = lambda: None
    """Runs after the last iteration."""


def run_until_signal(*loops: Loop) -> None:
    """Run all loops until SIGTERM or SIGINT: the first in this, the main thread, the others in threads."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=_run, args=(loop, stop), name=loop.name) for loop in loops[1:]]
    for thread in threads:
        thread.start()
    try:
        _run(loops[0], stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_until_available(
    check: Callable[[], object],
    *,
    on_wait: Callable[[], None] = lambda: None,
    pause_seconds: float = _PAUSE_AFTER_FAILURE_SECONDS,
) -> None:
    """Call *check* until it no longer raises Unavailable, and *on_wait* before each further call.

    Logs why it waits, once for each reason. SIGTERM and SIGINT end the process with status 0 meanwhile.
    """
    stop = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    reason = ""
    began = time.monotonic()
    try:
        while not stop.is_set():
            try:
                check()
            except Unavailable as error:
                if error.message != reason:
                    reason = error.message
                    _log.warning(
                        "redis_awaited",
                        reason=reason,
                        cause=error.cause,
                        action="Start Redis, or fix KAMMERTON_REDIS_URL.",
                    )
                on_wait()
                stop.wait(pause_seconds)
                continue
            if reason:
                _log.info("redis_found", waited_seconds=round(time.monotonic() - began, 1))
            return
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    raise SystemExit(0)


def _run(loop: Loop, stop: threading.Event) -> None:
    _log.info(f"{loop.name}_started")
    next_flush = next_sign = 0.0
    while not stop.is_set():
        if time.monotonic() >= next_sign:
            _record_sign_of_life(loop)
            next_sign = time.monotonic() + _SIGN_OF_LIFE_SECONDS
        pause = loop.pause_seconds
        try:
            loop.iterate()
        except Unavailable as error:
            _log.warning("iteration_interrupted", reason=error.message, cause=error.cause)
            pause = max(pause, _PAUSE_AFTER_FAILURE_SECONDS)
        except Exception:
            _log.exception("iteration_failed")
            pause = max(pause, _PAUSE_AFTER_FAILURE_SECONDS)
        if time.monotonic() >= next_flush:
            loop.flush()
            next_flush = time.monotonic() + _FLUSH_SECONDS
        stop.wait(pause)
    _log.info(f"{loop.name}_stopping")
    loop.close()
    loop.flush()
    remove_health(os.getpid(), process=loop.name)


def _record_sign_of_life(loop: Loop) -> None:
    try:
        record_health(os.getpid(), None, process=loop.name)
    except OSError as error:  # no room for temporary files
        _log.warning("health_not_recorded", reason=repr(error))
