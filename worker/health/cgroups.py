"""CPU and memory limits of this container, from cgroup v1 or v2, and the concurrency that fits them."""

import os
from collections.abc import Iterator
from pathlib import Path

SLOT_BYTES = 50 << 20
"""What a job takes besides its own limit: its pool process, and the inherited pages that its child copies.

Measured by control group with M4A files of 16 hours, two at once: 478 MiB for two slots of 120 MiB.
"""


def choose_concurrency(
    cpus: float, *, memory_limit_bytes: int | None, parent_bytes: int, job_memory_bytes: int
) -> int:
    """How many jobs to run at once: one for each whole CPU if the memory allows it, but at least one.

    *parent_bytes* is what the worker needs without any job, *job_memory_bytes* what each slot adds.
    """
    by_cpu = int(cpus)
    if memory_limit_bytes is None:
        return max(1, by_cpu)
    return max(1, min(by_cpu, (memory_limit_bytes - parent_bytes) // job_memory_bytes))


# cgroup v1 writes "no limit" as the largest multiple of a page below 2**63.
_UNLIMITED_BYTES = 1 << 60


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The smallest memory limit from this process's cgroup up to the root; None if there is none."""
    limits = []
    for text in _values(root, controller="memory", v2_file="memory.max", v1_file="memory.limit_in_bytes"):
        if text.isdigit() and int(text) < _UNLIMITED_BYTES:
            limits.append(int(text))
    return min(limits, default=None)


def available_cpus(root: Path = Path("/")) -> float:
    """CPUs that this process may use: its affinity, and any quota up to the root cgroup."""
    cpus = [float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)]
    for text in _values(root, controller="cpu", v2_file="cpu.max", v1_file="cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            cpus.append(int(quota) / int(period))
    return min(cpus)


def _values(root: Path, *, controller: str, v2_file: str, v1_file: str) -> Iterator[str]:
    """Yield a setting of each cgroup from ours up, v1 quotas in the form of v2: `quota period`."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            folder, name = mount, v2_file
        elif controller in controllers.split(","):
            folder, name = _v1_mount(mount, controllers, controller), v1_file
        else:
            continue
        # In a container the path may be the host's and missing here: then only the mount itself counts.
        own = folder / path.strip("/")
        for group in (own, *own.parents):
            text = _read(group / name).strip()
            if text and name == "cpu.cfs_quota_us":
                text = f"{text} {_read(group / 'cpu.cfs_period_us').strip()}"
            if text:
                yield text
            if group == folder:
                break


def _v1_mount(mount: Path, controllers: str, controller: str) -> Path:
    joined = mount / controllers
    return joined if joined.is_dir() else mount / controller


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
