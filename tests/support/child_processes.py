"""Running tasks in children, for the tests of both halves of the sandbox."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import psutil

from worker.sandbox import child as wire
from worker.sandbox.limits import ChildLimits
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.parent import run_sandboxed

BYTES = bytes(range(256)) * 20_000  # 5 MB
MIB = 1 << 20


def limits(
    *,
    memory_bytes: int = 64 * MIB,
    cpu_seconds: int = 20,
    wall_seconds: float = 30.0,
    read_bytes: int = 1 << 30,
) -> ChildLimits:
    """Return limits that a test needs not care about, but for those it names."""
    return ChildLimits(
        memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds, read_bytes=read_bytes
    )


def run(
    task: wire.Task,
    audio: BinaryIO | None = None,
    *,
    within: ChildLimits | None = None,
    on_tick: Callable[[], None] = lambda: None,
    cautious_task: wire.Task | None = None,
) -> ChildOutcome:
    """Run *task* over `BYTES` or other audio."""
    return run_sandboxed(
        task,
        audio or io.BytesIO(BYTES),
        limits=within or limits(),
        on_tick=on_tick,
        cautious_task=cautious_task,
    )


def hang_in_c(_: BinaryIO) -> bytes:
    """Never return, never let a Python signal handler run: as FFmpeg does over 100,000 tags."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return b""


def read_one_byte(audio: BinaryIO) -> bytes:
    """Ask for one byte and answer with it."""
    return audio.read(1)


def forked_children() -> list[psutil.Process]:
    """Children that are copies of ourselves: not the servers that other tests keep running."""
    ours = psutil.Process()
    return [child for child in ours.children() if child.cmdline() == ours.cmdline()]


def only_child() -> psutil.Process:
    """Find the one child that runs now."""
    (child,) = forked_children()
    return child


class CallbackAudio(io.BytesIO):
    """Audio that runs a callback while the child waits for its first byte."""

    def __init__(self, callback: Callable[[], None]) -> None:
        super().__init__(b"x")
        self._callback = callback

    def read(self, size: int | None = -1) -> bytes:
        self._callback()
        return super().read(size)


def memory_of(pid: int) -> bytes:
    """Return all readable memory of a process."""
    memory = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb") as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if found and "[v" not in line:
                try:
                    file.seek(int(found[1], 16))
                    memory += file.read(int(found[2], 16) - int(found[1], 16))
                except (OSError, ValueError, OverflowError):
                    continue
    return bytes(memory)
