"""Takes a resource away from running processes or from Redis, and gives it back."""

import os
import resource
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

Exhaust = Callable[[Sequence[psutil.Process]], AbstractContextManager[None]]
"""Raises OSError where this machine lets nobody limit it."""


@contextmanager
def no_more_files(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Every descriptor is in use: EMFILE."""
    before = {}
    for process in processes:
        used = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
        lowest_unused = min(set(range(len(used) + 1)) - used)
        before[process.pid] = soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (min(lowest_unused, soft), hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            if psutil.pid_exists(pid):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@contextmanager
def no_more_processes(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Neither a process nor a thread can be started: EAGAIN.

    As root in a control group, because the kernel doesn't count root's processes.
    """
    if os.geteuid() == 0:
        with _pids_cgroup(processes):
            yield
        return
    before = {process.pid: resource.prlimit(process.pid, resource.RLIMIT_NPROC) for process in processes}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            if psutil.pid_exists(pid):
                resource.prlimit(pid, resource.RLIMIT_NPROC, limits)


@contextmanager
def full_redis(client: "redis.Redis") -> Iterator[None]:
    """Redis refuses every write that needs memory: OOM."""
    before: Any = client.config_get("maxmemory")
    client.config_set("maxmemory", "1")
    try:
        yield
    finally:
        client.config_set("maxmemory", before["maxmemory"])


@contextmanager
def _pids_cgroup(processes: Sequence[psutil.Process]) -> Iterator[None]:
    root = Path("/sys/fs/cgroup")
    root = root if (root / "cgroup.controllers").exists() else root / "pids"
    group = root / f"kammerton-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        for process in processes:
            with suppress(ProcessLookupError):  # it has just ended
                (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text("0")
        yield
    finally:
        with suppress(OSError):
            (group / "pids.max").write_text("max")
        deadline = time.monotonic() + 60
        while group.exists() and time.monotonic() < deadline:
            for pid in (group / "cgroup.procs").read_text().split():
                with suppress(OSError):  # it has just ended
                    (root / "cgroup.procs").write_text(pid)
            with suppress(OSError):
                group.rmdir()
            time.sleep(0.02)
