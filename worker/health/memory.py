"""Memory of a process and all its descendants."""

import time
from collections.abc import Callable
from pathlib import Path

_READ_EVERY_SECONDS = 15.0


def process_tree_memory_bytes(pid: str = "self", *, proc: Path = Path("/proc")) -> int:
    """Proportional set size of a process and its descendants, bytes; 0 if unknown (not Linux).

    Pages shared after a fork count once, as the container's limit counts them.
    """
    total = 0
    pending = [pid]
    while pending:
        current = pending.pop()
        try:
            for line in (proc / current / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            for children in (proc / current / "task").glob("*/children"):
                pending += children.read_text().split()
        except OSError:
            continue  # it ended in the meantime, or this is not Linux
    return total


class WorkerMemory:
    """The memory of this process and its descendants, read again every 15 seconds.

    The kernel walks over all their pages for it: more CPU time than all the rest of a heartbeat.
    """

    def __init__(
        self,
        read: Callable[[], int] = process_tree_memory_bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._bytes = 0
        self._read_at: float | None = None

    def current_bytes(self) -> int:
        """Return it, at most 15 seconds old."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= _READ_EVERY_SECONDS:
            self._bytes, self._read_at = self._read(), now
        return self._bytes
