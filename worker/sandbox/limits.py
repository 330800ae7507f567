"""Limits on a child that decodes an untrusted file: memory, time, files and processes.

Linux enforces all of them. macOS enforces some (RLIMIT_DATA may have no effect) and never fails.
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

from worker.sandbox.seccomp import restrict_system_calls

_PR_SET_PDEATHSIG = 1
_STANDARD_FILES_AND_SOCKET = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_HEAP_BLOCK_BYTES = 32 << 20  # more is an error to glibc
NICENESS = 10
"""Added to the niceness of the worker for its children, 0 to 19: the priority of batch work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """Resource limits of one child. A file that exceeds one is too complex."""

    memory_bytes: int
    """Private memory beyond what the child shares with its parent at the fork."""
    cpu_seconds: int
    wall_seconds: float
    """Elapsed time, without the time that the child waits for storage."""
    answer_bytes: int = 1 << 20
    read_bytes: int = 1 << 30
    """Total of all reads from storage. Each counts as at least 64 KiB."""


def apply_limits(limits: ChildLimits) -> bool:
    """Limit the calling process for good. Returns True if the kernel also filters its system calls.

    Never raises: skips limits that this system does not have.
    """
    # RLIMIT_DATA limits what VmData shows; right after a fork, that is the parent's memory.
    data_bytes = memory_of_this_process("VmData") + limits.memory_bytes
    for name, value in (
        ("RLIMIT_DATA", data_bytes),
        ("RLIMIT_CPU", limits.cpu_seconds),  # soft: SIGXCPU, a second later hard: SIGKILL
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", _STANDARD_FILES_AND_SOCKET),
        ("RLIMIT_NPROC", 0),  # has no effect on root; the system call filter does
    ):
        hard = value + 1 if name == "RLIMIT_CPU" else value
        with suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, hard))
    return restrict_system_calls()


def lower_priority() -> None:
    """Let processes that answer people go first: the API, the store, and the worker that feeds this child."""
    with suppress(OSError):
        os.nice(NICENESS)


def keep_freed_memory() -> None:
    """Let malloc use freed memory again: the kernel clears each page that it gives out (glibc)."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def oom_kills(*, vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes of this machine the kernel has killed for want of memory; 0 if it is unknown."""
    try:
        match = re.search(r"^oom_kill (\d+)$", vmstat.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def raise_oom_score() -> None:
    """Make the kernel's out-of-memory killer choose this process first (Linux)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def die_with_parent(parent_pid: int) -> None:
    """Make the kernel kill this process when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # the parent died before prctl
        os._exit(1)


def memory_of_this_process(field: str, *, status: Path = Path("/proc/self/status")) -> int:
    """Return a field of /proc/self/status, such as `VmData` or `RssAnon`, in bytes; 0 if it is unknown."""
    try:
        match = re.search(rf"^{field}:\s*(\d+) kB", status.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0
