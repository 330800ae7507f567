"""What bounds a child that decodes a stranger's file: memory, time, files, processes.

Linux gives all of it. macOS gives what it has (RLIMIT_DATA may not bind there) and never fails.
"""

import ctypes
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.sandbox.seccomp import allow_only_computing

_PR_SET_PDEATHSIG = 1
_STANDARD_FILES_AND_SOCKET = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """What one child may use; beyond any of these its file is too complex."""

    memory_bytes: int
    """Private memory above what the child shares with its parent at the fork."""
    cpu_seconds: int
    wall_seconds: float
    """By the clock, not counting the time that the child waits for storage."""
    answer_bytes: int = 1 << 20
    read_bytes: int = 1 << 30
    """From storage, all reads of the child together, each counted as at least 64 KiB."""


def apply_limits(limits: ChildLimits) -> bool:
    """Bound the calling process for the rest of its life; True if the kernel also filters its calls.

    Never raises: a limit that this system does not have is left out.
    """
    # What RLIMIT_DATA counts is what VmData shows; after a fork, that is what the parent had.
    data_bytes = memory_of_this_process("VmData") + limits.memory_bytes
    for name, value in (
        ("RLIMIT_DATA", data_bytes),
        ("RLIMIT_CPU", limits.cpu_seconds),  # soft: SIGXCPU, a second later hard: SIGKILL
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", _STANDARD_FILES_AND_SOCKET),
        ("RLIMIT_NPROC", 0),  # does not bind root; the call filter does
    ):
        hard = value + 1 if name == "RLIMIT_CPU" else value
        with suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, hard))
    return allow_only_computing()


def raise_oom_score() -> None:
    """Make the kernel's out-of-memory killer pick this process before any other (Linux)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the line above
        os._exit(1)


def memory_of_this_process(field: str, *, status: Path = Path("/proc/self/status")) -> int:
    """Bytes in one line of /proc/self/status, such as `VmData` or `RssAnon`; 0 where it can't be told."""
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB", status.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
