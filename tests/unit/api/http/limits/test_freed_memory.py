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

    assert step(3, 3) == 0
    assert step(0, 0) == 0, "so few requests leave little"
    assert step(200, 90) == 0
    assert step(0, 20) == 0, "most of them were still open since the last check"
    assert step(0, 0) == 1
    assert step(10, 40) == 1, "it was trimmed since the peak"
    assert step(100, 160) == 1
    assert step(0, 0) == 2


def test_the_heap_is_not_trimmed_while_requests_keep_coming() -> None:
    trims: list[None] = []
    memory = FreedMemory(trim=lambda: trims.append(None))
    for _ in range(5):
        for _ in range(8):
            memory.started()
        for _ in range(8):
            memory.ended()
        asyncio.run(memory.trim_after_peak())
    assert trims == []
    asyncio.run(memory.trim_after_peak())
    assert len(trims) == 1


def test_a_c_library_without_malloc_trim_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    trim_heap()
