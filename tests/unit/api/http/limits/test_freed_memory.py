import asyncio
import ctypes
from types import SimpleNamespace

import pytest

from api.http.limits.freed_memory import FreedMemory, trim_heap


def test_the_heap_is_trimmed_once_after_a_peak() -> None:
    trims: list[None] = []
    memory = FreedMemory(trim=lambda: trims.append(None))

    def step(started: int, ended: int) -> int:
        for _ in range(started):
            memory.started()
        for _ in range(ended):
            memory.ended()
        asyncio.run(memory.trim_after_peak())
        return len(trims)

    assert step(60, 60) == 0, "few requests leave little"
    assert step(200, 90) == 0, "most of them are still open"
    assert step(0, 20) == 1
    assert step(10, 40) == 1, "it was trimmed since the peak"
    assert step(100, 170) == 2


def test_a_c_library_without_malloc_trim_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    trim_heap()
