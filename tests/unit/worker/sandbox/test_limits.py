"""How many jobs at once, and what of the machine is ours to use."""

import os
from pathlib import Path

import pytest

from worker.health.cgroups import available_cpus, choose_concurrency, memory_limit_bytes
from worker.sandbox.limits import memory_of_this_process, oom_kills

MIB = 1 << 20
OUR_CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cpus", "memory_mib", "jobs"),
    [
        (4.0, None, 4),
        (2.9, None, 2),
        (0.5, None, 1),
        (8.0, 512, 2),  # (512 - 250) / 120
        (1.0, 4096, 1),
        (8.0, 300, 1),  # not even one fits, and none would be no worker
    ],
)
def test_jobs_run_at_once_as_far_as_cpus_and_memory_go(
    cpus: float, memory_mib: int | None, jobs: int
) -> None:
    limit = None if memory_mib is None else memory_mib * MIB
    chosen = choose_concurrency(
        cpus, memory_limit_bytes=limit, parent_bytes=250 * MIB, job_memory_bytes=120 * MIB
    )
    assert chosen == jobs


def test_a_memory_limit_of_cgroup_v2_is_the_smallest_on_the_way_up(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/worker\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/pod/memory.max": f"{512 * MIB}\n",
            "sys/fs/cgroup/pod/worker/memory.max": f"{600 * MIB}\n",
        },
    )
    assert memory_limit_bytes(root) == 512 * MIB


def test_a_memory_limit_of_cgroup_v1_is_the_smallest_on_the_way_up(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{256 * MIB}\n",
        },
    )
    assert memory_limit_bytes(root) == 256 * MIB


def test_a_container_whose_cgroup_path_is_the_hosts_reads_its_own_root(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{128 * MIB}\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert memory_limit_bytes(root) == 128 * MIB
    assert available_cpus(root) == 0.5


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n", "nonsense\n", ""])
def test_no_memory_limit_is_no_number(tmp_path: Path, text: str) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": text})
    assert memory_limit_bytes(root) is None


def test_a_machine_without_cgroups_has_no_limits_but_its_cpus(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path) is None
    assert available_cpus(tmp_path) == OUR_CPUS


@pytest.mark.parametrize(
    ("text", "cpus"), [("25000 100000", 0.25), ("max 100000", OUR_CPUS), ("9900000 100000", OUR_CPUS)]
)
def test_a_cpu_quota_of_cgroup_v2_counts_if_it_is_below_our_cpus(
    tmp_path: Path, text: str, cpus: float
) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": text + "\n"})
    assert available_cpus(root) == cpus


def test_an_unlimited_cpu_quota_of_cgroup_v1_is_negative(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert available_cpus(root) == OUR_CPUS


def test_the_memory_of_a_process_is_read_from_its_status(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmData:\t  271252 kB\nRssAnon:\t 1000 kB\n")
    assert memory_of_this_process("VmData", status=status) == 271_252 * 1024
    assert memory_of_this_process("RssAnon", status=status) == 1000 * 1024
    assert memory_of_this_process("VmNothing", status=status) == 0
    assert memory_of_this_process("VmData", status=tmp_path / "none") == 0


def test_processes_killed_for_want_of_memory_are_counted(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 5\noom_kill 20\ndrop_pagecache 1\n")
    assert oom_kills(vmstat=vmstat) == 20
    assert oom_kills(vmstat=tmp_path / "missing") == 0
