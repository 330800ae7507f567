import asyncio
import selectors
from collections.abc import Callable
from typing import Any

import pytest

from api.http.limits.slow_clients import MinRateTimeout
from shared.errors import UploadStalled


class Skipping(selectors.DefaultSelector):
    """Whoever would sleep moves the clock instead: an hour takes no time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.now += timeout
        return ready


def skipping_loop() -> asyncio.SelectorEventLoop:
    selector = Skipping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    return loop


def run(scene: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=skipping_loop) as runner:
        return runner.run(scene())


async def client_sends(pace: MinRateTimeout, size_bytes: int, *, every: float, times: int) -> int:
    """How many of the pieces were waited for."""
    for number in range(times):
        try:
            async with pace.waiting():
                await asyncio.sleep(every)
        except UploadStalled:
            return number
        pace.received(size_bytes)
    return times


def test_silence_times_out_after_the_idle_time() -> None:
    async def scene() -> tuple[int, int]:
        def pace() -> MinRateTimeout:
            return MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000)

        return (
            await client_sends(pace(), 10**6, every=29, times=3),
            await client_sends(pace(), 10**6, every=31, times=3),
        )

    assert run(scene) == (3, 0)


def test_a_byte_a_second_is_too_slow() -> None:
    async def scene() -> int:
        return await client_sends(
            MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000), 1, every=1, times=1000
        )

    assert 29 <= run(scene) <= 31


def test_the_minimum_rate_is_allowed_forever() -> None:
    async def scene() -> int:
        return await client_sends(
            MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000), 1001, every=1, times=5000
        )

    assert run(scene) == 5000


def test_the_minimum_rate_is_higher_while_other_uploads_wait() -> None:
    busy = False

    async def scene() -> tuple[int, int, int]:
        nonlocal busy
        pace = MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000, busy=lambda: busy)
        calm = await client_sends(pace, 2000, every=1, times=100)
        busy = True
        slow = await client_sends(pace, 2000, every=1, times=100)
        brisk = MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000, busy=lambda: True)
        return calm, slow, await client_sends(brisk, 9000, every=1, times=100)

    calm, slow, brisk = run(scene)
    assert (calm, brisk) == (100, 100)
    assert slow < 10


def test_the_timeout_shortens_when_other_uploads_begin_to_wait() -> None:
    async def scene() -> float:
        loop = asyncio.get_running_loop()
        pace = MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000)
        loop.call_later(10, pace.hurry)
        with pytest.raises(UploadStalled):
            async with pace.waiting():
                await asyncio.sleep(1000)
        return loop.time()

    assert run(scene) == pytest.approx(15, abs=0.1)


def test_slow_storage_does_not_count_against_the_client() -> None:
    async def scene() -> int:
        pace = MinRateTimeout(idle_seconds=30, min_bytes_per_second=1000)
        for _ in range(100):
            await asyncio.sleep(1000)
            if await client_sends(pace, 1, every=0.1, times=1) == 0:
                return 0
        return 100

    assert run(scene) == 100
