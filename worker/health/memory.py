"""How much memory this process and all its descendants hold together."""

from pathlib import Path


def process_tree_memory_bytes(pid: str = "self", *, proc: Path = Path("/proc")) -> int:
    """Proportional set size of a process and its descendants, bytes; 0 where it can't be told (no Linux).

    Pages shared after a fork count once, as the container's limit counts them.
    """
    total = 0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            for line in (proc / one / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            for children in (proc / one / "task").glob("*/children"):
                waiting += children.read_text().split()
        except OSError:
            continue  # it ended meanwhile, or this is no Linux
    return total
