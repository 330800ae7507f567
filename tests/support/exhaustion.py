"""Takes a resource of the machine away from running processes, and gives it back."""

import os
import resource
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest


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
def _pids_cgroup(processes: Sequence[psutil.Process]) -> Iterator[None]:
    root = Path("/sys/fs/cgroup")
    root = root if (root / "cgroup.controllers").exists() else root / "pids"
    group = root / f"kammerton-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        for process in processes:
            (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text("0")
    except OSError as refused:
        pytest.skip(f"processes can't be limited here: {refused}")
    try:
        yield
    finally:
        (group / "pids.max").write_text("max")
        while left := (group / "cgroup.procs").read_text().split():
            for pid in left:
                try:
                    (root / "cgroup.procs").write_text(pid)
                except ProcessLookupError:
                    time.sleep(0.05)
        group.rmdir()
