"""A small process beside a worker that kills it when it has stalled: whoever keeps it starts it anew."""

import os
import signal
import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from worker.sandbox.limits import die_with_parent

LOOK_SECONDS = 10.0
_PATIENCE = 3
"""So many looks in a row must find the worker unwell."""

_log = get_logger(__name__)


def start_watchdog(look: Callable[[], str | None]) -> int:
    """Fork a watchdog over the calling process; `look` says what ails it, or raises Unavailable.

    Returns the watchdog's pid. It dies with the process that it watches.
    """
    watched = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which stops us
        die_with_parent(watched)
        watch(look, strike=lambda: os.kill(watched, signal.SIGKILL))
    finally:
        os._exit(1)


def watch(
    look: Callable[[], str | None],
    *,
    strike: Callable[[], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Look until the worker was unwell too often, then strike."""
    unwell = 0
    while unwell < _PATIENCE:
        pause(LOOK_SECONDS)
        try:
            ailment = look()
        except Unavailable:
            ailment = None  # a restart would not bring Redis back
        unwell = unwell + 1 if ailment else 0
        if ailment:
            _log.warning("worker_unwell", why=ailment, looks=unwell)
    _log.error("worker_killed_to_be_restarted")
    strike()
