"""Nothing that we start outlives us, however we die. Standard library only: it is run as a bare script.

Two small roles beside the launcher, joined by one pipe:

    exec    stands in front of each command: tells the guard its process group, then becomes the command
    guard   waits for the pipe to close, which even SIGKILL of the launcher does, and kills every group told
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
GUARD_SECONDS = 2.0  # a group of zombies that nobody reaps stays for ever


class Lifeline:
    """The launcher's end of the pipe. Once it is closed, everything started through it is dead."""

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        """`keep_open`: descriptors (a lock) to be released only when nothing is left."""
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

    def spawn(self, command: list[str], *, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a command as the leader of its own process group.

        Only from a thread that lives as long as the launcher: Linux takes its end for the parent's death.
        """
        return subprocess.Popen(  # noqa: S603 - the caller's table of commands
            [*_script("exec"), str(self._write_end), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=(self._write_end,),
            process_group=0,
        )

    def forget(self, group: int) -> None:
        """Call once the group is gone: its number may be given to a stranger."""
        with contextlib.suppress(OSError):
            os.write(self._write_end, b"-%d\n" % group)

    def remove_afterwards(self, path: Path) -> None:
        """A file that a killed process leaves lying about: gone when everything is."""
        os.write(self._write_end, b"%s\n" % os.fsencode(path))

    def close(self) -> None:
        """Kill what is left, and return when it is gone."""
        os.close(self._write_end)
        self._guard.wait()


def _script(role: str) -> list[str]:
    # -I -S: no site-packages, no PYTHON* variables; starts in 20 ms.
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), role]


def become(pipe: int, launcher: int, command: list[str]) -> None:
    """Tell the guard, tie our life to the launcher's, become the command."""
    with contextlib.suppress(OSError):
        os.write(pipe, b"+%d\n" % os.getpid())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it died before we asked to be told
        sys.exit(1)
    os.set_inheritable(pipe, False)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def guard(pipe: int) -> None:
    """Read groups and files until the pipe closes; kill and remove those that are left."""
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
    give_up = time.monotonic() + GUARD_SECONDS
    while groups and time.monotonic() < give_up:
        for group in list(groups):
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                groups.discard(group)
            except PermissionError:  # macOS says so of zombies
                pass
        time.sleep(0.02)
    for file in files:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1] == "exec":
        become(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        guard(int(sys.argv[2]))
