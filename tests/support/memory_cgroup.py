"""A control group with a memory limit, to run servers in."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class CannotLimitMemory(Exception):
    """This machine lets us make no control group, or none with a memory limit."""


@dataclass(frozen=True)
class Group:
    """A memory control group, of version 1 or 2."""

    folder: Path
    is_v2: bool

    @property
    def join(self) -> list[str]:
        """The beginning of a command that runs in the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs")]

    def processes(self) -> set[int]:
        return {int(line) for line in (self.folder / "cgroup.procs").read_text().split()}

    def peak_bytes(self) -> int:
        return int((self.folder / ("memory.peak" if self.is_v2 else "memory.max_usage_in_bytes")).read_text())

    def killed(self) -> int:
        """How many processes the kernel killed in it for want of memory."""
        lines = (self.folder / ("memory.events" if self.is_v2 else "memory.oom_control")).read_text()
        return int(dict(line.split() for line in lines.splitlines())["oom_kill"])


@contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[Group]:
    """One without swap. Raises `CannotLimitMemory`."""
    root = Path("/sys/fs/cgroup")
    is_v2 = (root / "cgroup.controllers").exists()
    group = Group((root if is_v2 else root / "memory") / f"kammerton-{uuid.uuid4().hex[:8]}", is_v2)
    try:
        group.folder.mkdir()
    except OSError as refused:
        raise CannotLimitMemory(f"Control groups can't be made here: {refused}. Run as root.") from refused
    try:
        limit, swap = (
            ("memory.max", "memory.swap.max")
            if is_v2
            else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        )
        try:
            (group.folder / limit).write_text(str(limit_bytes))
        except OSError as refused:
            raise CannotLimitMemory(f"Memory can't be limited here: {refused}. Run as root.") from refused
        if (group.folder / swap).exists():
            (group.folder / swap).write_text("0" if is_v2 else str(limit_bytes))
        yield group
    finally:
        while group.processes():
            time.sleep(0.05)
        group.folder.rmdir()
