"""One data directory, one instance: a lock that no crash can leave behind."""

import fcntl
import time
from pathlib import Path
from typing import IO

from local.lifeline import GUARD_SECONDS
from local.processes import CannotStart

LOCK_SECONDS = GUARD_SECONDS + 1  # an instance that was killed a moment ago is still being cleared away


def lock(data_dir: Path) -> IO[str]:
    """Make the directory if need be, and hold it for as long as the file is open."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = (data_dir / "lock").open("a")
    except OSError as error:
        raise CannotStart(
            f"Cannot write to the data directory {data_dir} ({error.strerror}): "
            "mend that, or choose another with --data-dir."
        ) from None
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            held.close()
            raise CannotStart(
                f"Another instance is using the data directory {data_dir}: "
                "stop it, or choose another directory with --data-dir."
            ) from None
        return held
