"""Memory of a process and all its descendants."""

from pathlib import Path


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
