"""System call filter of the sandbox: a child may use memory, clocks and its one socket, and nothing else.

An allowlist that prctl(2) installs for the rest of a process's life. Other calls fail with EPERM, so that
a library that tries more gets an error and is not killed.
"""

import ctypes
import mmap
import os
import platform
import struct
import sys

# Numbers are the kernel's, per architecture: (x86_64, aarch64).
_ALLOWED = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "close": (3, 57),
    "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215),
    "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "getcpu": (309, 168), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "membarrier": (324, 283), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "times": (100, 153), "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
_TGKILL = (234, 131)  # abort() sends itself a signal
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_NO_NEW_PRIVS = 38
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # _DENY: errno 1, EPERM


def restrict_system_calls() -> bool:
    """Forbid this process to open files and sockets, to start processes and to signal others, for good.

    Returns False without seccomp: on macOS, on other processors, or if the kernel or container disables
    it. Then only "no new privileges" is set.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or platform.machine() not in _AUDIT_ARCH:
        return False
    code = _program(platform.machine(), own_pid=os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a 16-bit count of 8-byte instructions, padding, a pointer to them.
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    header = ctypes.create_string_buffer(program, len(program))
    address = ctypes.addressof(header)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0) == 0)


def _program(machine: str, *, own_pid: int) -> bytes:
    column = list(_AUDIT_ARCH).index(machine)
    lines = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch: in a 32-bit call table the numbers mean other calls
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
    ]
    lines += [
        (_EQUAL, 0, 4, _ALLOWED["mmap"][column]),
        (_LOAD, 0, 0, 16 + 8 * 3),  # low half of the fourth argument, the flags
        (_ANY_BIT, 0, 1, mmap.MAP_SHARED),  # RLIMIT_DATA doesn't count shared memory
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for numbers in _ALLOWED.values():
        lines += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    lines += [
        (_EQUAL, 0, 3, _TGKILL[column]),
        (_LOAD, 0, 0, 16),  # low half of the first argument
        (_EQUAL, 0, 1, own_pid),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
