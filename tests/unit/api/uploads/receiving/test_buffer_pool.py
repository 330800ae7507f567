import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.uploads.receiving.buffer_pool import FIRST_BYTES, BufferPool
from shared.errors import Overloaded

PART = 8 * FIRST_BYTES


async def one_upload(pool: BufferPool, parts: int, rng: random.Random, seen: list[int]) -> None:
    """Grows by doubling as real ones do; parts on their way out come back by themselves."""
    sending: list[asyncio.Task[None]] = []
    for _ in range(parts):
        reservation = pool.reserve()
        size = FIRST_BYTES
        while size <= PART:
            await reservation.grow(size, wait_seconds=60)
            seen.append(pool.used_bytes)
            size *= 2
            await asyncio.sleep(0)
        reservation.mark_sending()

        async def send(sent: object = reservation, turns: int = rng.randrange(5)) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            sent.release()  # type: ignore[attr-defined]

        sending.append(asyncio.create_task(send()))
    await asyncio.gather(*sending)


@settings(deadline=None)
@given(uploads=st.integers(1, 40), total_parts=st.integers(1, 6), seed=st.integers(0, 1000))
def test_all_uploads_finish_within_the_budget(uploads: int, total_parts: int, seed: int) -> None:
    rng = random.Random(seed)
    seen: list[int] = []

    async def run() -> None:
        pool = BufferPool(total_parts * PART, part_bytes=PART)
        async with asyncio.timeout(30):
            await asyncio.gather(*(one_upload(pool, rng.randrange(1, 4), rng, seen) for _ in range(uploads)))
        assert pool.used_bytes == 0
        assert not pool.is_contended

    asyncio.run(run())
    assert max(seen) <= total_parts * PART


def test_a_wait_that_times_out_is_an_error_and_reserves_nothing() -> None:
    async def run() -> None:
        hurried = []
        pool = BufferPool(PART, part_bytes=PART)
        first = pool.reserve(on_pressure=lambda: hurried.append(True))
        await first.grow(PART, wait_seconds=1)
        second = pool.reserve()
        with pytest.raises(Overloaded):
            await second.grow(FIRST_BYTES, wait_seconds=0.01)
        assert hurried == [True]
        assert not pool.is_contended
        first.release()
        first.release()
        await second.grow(FIRST_BYTES, wait_seconds=0)
        assert pool.used_bytes == FIRST_BYTES

    asyncio.run(run())


def test_small_buffers_leave_room_for_one_to_become_a_part() -> None:
    async def run() -> None:
        pool = BufferPool(2 * PART, part_bytes=PART)
        held = [pool.reserve() for _ in range(16)]
        taken = 0
        for reservation in held:
            try:
                await reservation.grow(FIRST_BYTES, wait_seconds=0.001)
                taken += 1
            except Overloaded:
                break
        assert taken > 1
        for size in (2, 4, 8):
            await held[0].grow(size * FIRST_BYTES, wait_seconds=0.001)
        assert held[0].size_bytes == PART

    asyncio.run(run())


def test_a_canceled_wait_reserves_nothing() -> None:
    async def run() -> None:
        pool = BufferPool(PART, part_bytes=PART)
        first, second = pool.reserve(), pool.reserve()
        await first.grow(PART, wait_seconds=1)
        waiting = asyncio.create_task(second.grow(FIRST_BYTES, wait_seconds=60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not pool.is_contended
        first.release()
        assert pool.used_bytes == 0

    asyncio.run(run())
