"""`python -m worker healthcheck`: checks the worker on this machine, for a container engine.

It runs every few seconds, so it loads nothing: the watchdog of each worker writes what it found to a file.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

_SILENT_SECONDS = 60.0
"""Three checks of the watchdog, each with a slow Redis."""
_NAME = "kammerton-worker-"


def record_health(pid: int, problem: str | None, *, folder: Path | None = None) -> None:
    """Write what is wrong with the worker *pid*, or None, for `check`. Raises OSError."""
    # no link that another user of the machine has put there is followed
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(_file_of(pid, folder), flags, mode=0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{time.monotonic()}\n{problem or ''}")


def remove_health(pid: int, *, folder: Path | None = None) -> None:
    """Forget a worker that ends."""
    _file_of(pid, folder).unlink(missing_ok=True)


def check(*, folder: Path | None = None) -> int:
    """0 if a worker of this machine is healthy, or if Redis is unavailable, which no restart can fix."""
    problems = []
    for file in _folder(folder).glob(f"{_NAME}*"):
        pid = file.name.removeprefix(_NAME)
        if not pid.isdigit() or not _is_alive(int(pid)):
            continue
        problem = _problem_in(file)
        if problem is None:
            return 0
        problems.append(problem)
    sys.stderr.write(f"unhealthy: {problems[0] if problems else 'no worker runs on this machine'}\n")
    return 1


def _problem_in(file: Path) -> str | None:
    try:
        written_at, _, problem = file.read_text().partition("\n")
        age = time.monotonic() - float(written_at)
    except (OSError, ValueError) as error:
        return f"its health is unknown: {error}"
    if not 0 <= age <= _SILENT_SECONDS:
        return "its watchdog is silent"
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


def _file_of(pid: int, folder: Path | None) -> Path:
    return _folder(folder) / f"{_NAME}{pid}"
