"""A small process that kills its worker when the worker has stalled. The supervisor then restarts it.

It records each result for the health check of a container engine, which then needs no connection of its own.
"""

import os
import signal
import time
from collections.abc import Callable

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from worker.health_files import record_health
from worker.sandbox.limits import die_with_parent

CHECK_SECONDS = 10.0
_FAILURES_BEFORE_KILL = 3
"""Only this many failed checks in a row kill the worker."""

_log = get_logger(__name__)


def start_watchdog(diagnose: Callable[[], str | None]) -> int:
    """Fork a watchdog over the calling process. Returns its pid. It dies with the process that it watches.

    *diagnose* returns why the worker is unhealthy, or None, or raises Unavailable.
    """
    watched = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which stops its watchdog
        die_with_parent(watched)
        watch(
            diagnose,
            kill=lambda: os.kill(watched, signal.SIGKILL),
            record=lambda problem: record_health(watched, problem),
        )
    finally:
        os._exit(1)


def watch(
    diagnose: Callable[[], str | None],
    *,
    kill: Callable[[], None],
    record: Callable[[str | None], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Check until the worker was unhealthy too often in a row, then kill it. *record* gets each result."""
    failures = 0
    _record(record, None)
    while failures < _FAILURES_BEFORE_KILL:
        sleep(CHECK_SECONDS)
        try:
            problem = diagnose()
        except Unavailable:
            problem = None  # a restart would not bring Redis back
        _record(record, problem)
        failures = failures + 1 if problem else 0
        if problem:
            _log.warning("worker_unhealthy", reason=problem, failures=failures)
    _log.error("stalled_worker_killed")
    kill()


def _record(record: Callable[[str | None], None], problem: str | None) -> None:
    try:
        record(problem)
    except OSError as error:  # no room for temporary files
        _log.warning("health_not_recorded", reason=repr(error))
