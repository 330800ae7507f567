"""Allows one instance for each data directory. A crash cannot leave the lock behind."""

import fcntl
import time
from pathlib import Path
from typing import IO

from local.lifeline import GUARD_SECONDS
from local.processes import CannotStart

LOCK_SECONDS = GUARD_SECONDS + 1  # a killed instance needs a moment to be cleaned up


def lock(data_dir: Path) -> IO[str]:
    """Create the directory if needed, and lock it while the returned file is open."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock_file = (data_dir / "lock").open("a")
    except OSError as error:
        raise CannotStart(
            f"Cannot write to the data directory {data_dir} ({error.strerror}). "
            "Fix that, or choose another directory with --data-dir."
        ) from None
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            lock_file.close()
            raise CannotStart(
                f"Another instance is using the data directory {data_dir}. "
                "Stop it, or choose another directory with --data-dir."
            ) from None
        return lock_file
