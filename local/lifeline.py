"""Kills every process that the launcher started when the launcher dies, even by SIGKILL.

Runs as a bare script with the standard library only. Two helper roles share one pipe with the launcher:

    exec    reports its process group to the guard, then executes the command
    guard   waits until the pipe closes, then kills every reported group
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
GUARD_SECONDS = 2.0  # a group of zombies that are never reaped stays forever


class Lifeline:
    """The launcher's end of the pipe. When it closes, everything started through it is killed."""

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        """*keep_open*: descriptors, such as a lock, that stay open until every process is gone."""
        read_end, self._write_end = os.pipe()
        self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [*_script("guard"), str(read_end)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(read_end, *keep_open),
            start_new_session=True,
        )
        os.close(read_end)
        self._children = {self._guard.pid}

    @property
    def is_guarded(self) -> bool:
        """Whether the guard lives."""
        return self._guard.poll() is None

    def spawn(
        self, command: list[str], *, env: dict[str, str], inherit: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a command as the leader of its own process group. It inherits the descriptors *inherit*.

        Call it from a thread that lives as long as the launcher: Linux treats the end of that thread as the
        death of the parent.
        """
        process = subprocess.Popen(  # noqa: S603 - commands of the caller
            [*_script("exec"), str(self._write_end), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=(self._write_end, *inherit),
            process_group=0,
        )
        self._children.add(process.pid)
        return process

    def reap_orphans(self) -> None:
        """Reap processes whose parent has died. Process 1 of a container becomes their parent."""
        with contextlib.suppress(OSError):  # some sandboxes of containers have no list of children
            own_children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for pid in set(map(int, own_children)) - self._children:
                os.waitpid(pid, os.WNOHANG)

    def remember(self, group: int) -> None:
        """Kill this group too."""
        os.write(self._write_end, b"+%d\n" % group)

    def forget(self, group: int) -> None:
        """Call when the group is gone: the system may reuse its number."""
        with contextlib.suppress(OSError):
            os.write(self._write_end, b"-%d\n" % group)

    def remove_at_exit(self, path: Path) -> None:
        """Remove a file that a killed process leaves behind, after everything else is gone."""
        os.write(self._write_end, b"%s\n" % os.fsencode(path))

    def close(self) -> None:
        """Kill the remaining processes, and return when they are gone."""
        os.close(self._write_end)
        self._guard.wait()


def _script(role: str) -> list[str]:
    # -I -S: no site-packages, no PYTHON* variables; starts in 20 ms.
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), role]


def execute(pipe: int, launcher: int, command: list[str]) -> None:
    """Report to the guard, tie this process to the launcher's life, execute the command."""
    with contextlib.suppress(OSError):
        os.write(pipe, b"+%d\n" % os.getpid())
    die_with_parent(launcher)
    os.set_inheritable(pipe, False)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before prctl
        os._exit(1)


def guard(pipe: int) -> None:
    """Read groups and files until the pipe closes, then kill and remove the remaining ones."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    files: list[Path] = []
    with os.fdopen(pipe) as lines:
        for line in lines:
            if line[0] == "/":
                files.append(Path(line[:-1]))
            else:
                (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    deadline = time.monotonic() + GUARD_SECONDS
    while groups and time.monotonic() < deadline:
        for group in list(groups):
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                groups.discard(group)
            except PermissionError:  # macOS reports zombies this way
                pass
        time.sleep(0.02)
    for file in files:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == "exec":
        execute(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        guard(int(sys.argv[2]))
