"""`python -m worker healthcheck [PROCESS…]`: checks processes on this machine, for a container engine.

It runs every few seconds, so it loads nothing: the watchdog of a worker writes what it found to a file,
and each loop of another process writes to its file that it goes round.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_WORKER = "worker"
_SILENT_SECONDS = {_WORKER: 60.0, "rescuer": 600.0, "notifier": 600.0}
"""A watchdog: three checks with a slow Redis. A loop: two steps, each with three calls of a hanging S3."""
PROCESSES = tuple(_SILENT_SECONDS)


def record_health(
    pid: int, problem: str | None, *, process: str = _WORKER, folder: Path | None = None
) -> None:
    """Write what is wrong with the process *pid*, or None, for `check`. Raises OSError."""
    # no link that another user of the machine has put there is followed
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(_file_of(pid, process, folder), flags, mode=0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{time.monotonic()}\n{problem or ''}")


def remove_health(pid: int, *, process: str = _WORKER, folder: Path | None = None) -> None:
    """Forget a process that ends."""
    _file_of(pid, process, folder).unlink(missing_ok=True)


def check(processes: Sequence[str] = (), *, folder: Path | None = None) -> int:
    """0 if one of each of *processes* is healthy on this machine, a worker if there are none.

    An unavailable Redis makes none unhealthy: no restart can fix it.
    """
    for process in processes or (_WORKER,):
        if (problem := _problem_of(process, folder)) is not None:
            sys.stderr.write(f"unhealthy: {problem}\n")
            return 1
    return 0


def _problem_of(process: str, folder: Path | None) -> str | None:
    problems = []
    start = _file_start(process)
    for file in _folder(folder).glob(f"{start}*"):
        pid = file.name.removeprefix(start)
        if not pid.isdigit() or not _is_alive(int(pid)):
            continue
        problem = _problem_in(file, silent_seconds=_SILENT_SECONDS[process])
        if problem is None:
            return None
        problems.append(problem)
    return problems[0] if problems else f"no {process} runs on this machine"


def _problem_in(file: Path, *, silent_seconds: float) -> str | None:
    try:
        written_at, _, problem = file.read_text().partition("\n")
        age = time.monotonic() - float(written_at)
    except (OSError, ValueError) as error:
        return f"its health is unknown: {error}"
    if not 0 <= age <= silent_seconds:
        return f"its last sign of life is {age:.0f} s old"
    return problem or None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _folder(folder: Path | None) -> Path:
    return folder or Path(tempfile.gettempdir())


def _file_of(pid: int, process: str, folder: Path | None) -> Path:
    return _folder(folder) / f"{_file_start(process)}{pid}"


def _file_start(process: str) -> str:
    return f"kammerton-{process}-"
