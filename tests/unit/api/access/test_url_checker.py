"""Lookups of the host names of URLs that callers send: limited, shared fairly, apart from everything else."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from api.access.url_checker import MAX_LOOKUPS_PER_CALLER, MAX_WAITING_PER_CALLER, LookupPool
from shared.errors import AddressRefused, AddressUnresolved, Overloaded
from tests.support.api_harness import ApiHarness

SLOW = "https://slow.example/song.mp3"
PATIENCE_SECONDS = 60.0


class StuckResolver:
    """Lookups that do not end before `release`."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self.started = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()

    def __call__(self) -> str:
        self.threads.add(threading.current_thread())
        self.started.release()
        self._released.wait()
        return SLOW

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def stuck() -> Iterator[StuckResolver]:
    resolver = StuckResolver()
    yield resolver
    resolver.release()


async def attempt(pool: LookupPool, look_up: Callable[[], str], subject: str) -> str:
    try:
        return await pool.run(look_up, subject=subject)
    except (AddressRefused, Overloaded) as error:
        return error.code


def test_a_lookup_returns_what_it_finds_or_raises_what_it_raises() -> None:
    async def scenario() -> None:
        pool = LookupPool(timeout_seconds=PATIENCE_SECONDS)
        assert await pool.run(lambda: SLOW, subject="key:a") == SLOW
        with pytest.raises(AddressRefused, match="not public"):
            await pool.run(partial(_refuse, "not public"), subject="key:a")

    asyncio.run(scenario())


def test_one_caller_cannot_use_the_lookups_of_others(stuck: StuckResolver) -> None:
    async def scenario() -> None:
        pool = LookupPool(max_lookups=3, max_per_caller=2, timeout_seconds=PATIENCE_SECONDS)
        greedy = [asyncio.create_task(attempt(pool, stuck, "key:greedy")) for _ in range(10)]
        await asyncio.to_thread(lambda: [stuck.started.acquire() for _ in range(2)])
        assert await pool.run(lambda: "found", subject="key:other") == "found"
        assert len(stuck.threads) == 2
        stuck.release()
        assert await asyncio.gather(*greedy) == [SLOW] * 10

    asyncio.run(scenario())


def test_lookups_have_a_limit_also_after_their_requests_have_ended(stuck: StuckResolver) -> None:
    async def scenario() -> None:
        pool = LookupPool(max_lookups=2, max_per_caller=2, timeout_seconds=0.05)
        first = await asyncio.gather(*(attempt(pool, stuck, f"key:{number}") for number in range(2)))
        assert first == ["address_unresolved"] * 2
        later = await asyncio.gather(*(attempt(pool, stuck, f"key:{number}") for number in range(2, 30)))
        assert later == ["overloaded"] * 28
        assert len(stuck.threads) == 2
        stuck.release()
        pool.timeout_seconds = PATIENCE_SECONDS
        assert await pool.run(lambda: "found", subject="key:late") == "found"

    asyncio.run(scenario())


def test_a_caller_with_too_many_waiting_lookups_is_refused_at_once(stuck: StuckResolver) -> None:
    async def scenario() -> None:
        pool = LookupPool(max_lookups=1, max_per_caller=1, timeout_seconds=PATIENCE_SECONDS)
        waiting = [
            asyncio.create_task(attempt(pool, stuck, "key:greedy")) for _ in range(1 + MAX_WAITING_PER_CALLER)
        ]
        await asyncio.to_thread(stuck.started.acquire)
        assert await attempt(pool, stuck, "key:greedy") == "overloaded"
        stuck.release()
        assert set(await asyncio.gather(*waiting)) == {SLOW}

    asyncio.run(scenario())


def test_a_client_that_leaves_gives_its_place_back(stuck: StuckResolver) -> None:
    async def scenario() -> None:
        pool = LookupPool(max_lookups=1, max_per_caller=1, timeout_seconds=PATIENCE_SECONDS)
        running = asyncio.create_task(pool.run(stuck, subject="key:a"))
        await asyncio.to_thread(stuck.started.acquire)
        waiting = asyncio.create_task(pool.run(stuck, subject="key:b"))
        await asyncio.sleep(0)
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        stuck.release()
        assert await pool.run(lambda: "found", subject="key:c") == "found"
        assert len(stuck.threads) == 1

    asyncio.run(scenario())


def test_a_machine_without_threads_left_answers_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> str:
        return await attempt(LookupPool(timeout_seconds=PATIENCE_SECONDS), lambda: SLOW, "key:a")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert asyncio.run(scenario()) == "overloaded"


def test_other_requests_are_answered_while_every_lookup_hangs(stuck: StuckResolver) -> None:
    api = ApiHarness(check_source_url=lambda _: stuck(), check_callback_url=lambda _: stuck())
    submitted: list[int] = []
    read: list[int] = []

    def submit() -> None:
        submitted.append(api.client.post("/v1/jobs", json={"source_url": SLOW}).status_code)

    def get() -> None:
        read.extend(api.client.get(path).status_code for path in ("/healthz", "/v1/jobs/unknown", "/"))

    # more submissions than request threads
    clients = [threading.Thread(target=submit, daemon=True) for _ in range(45)]
    reader = threading.Thread(target=get, daemon=True)
    with api.client:
        for client in clients:
            client.start()
        for _ in range(MAX_LOOKUPS_PER_CALLER):
            assert stuck.started.acquire(timeout=PATIENCE_SECONDS)
        reader.start()
        reader.join(PATIENCE_SECONDS)
        lookups = len(stuck.threads)
        stuck.release()
        for client in clients:
            client.join()
    assert read == [200, 404, 200]
    assert lookups == MAX_LOOKUPS_PER_CALLER
    assert set(submitted) <= {202, 422, 503}


def _refuse(message: str) -> str:
    raise AddressRefused(message)


def test_a_name_that_is_not_resolved_in_time_is_no_reason_to_call_the_url_forbidden(
    stuck: StuckResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.services.LookupPool", partial(LookupPool, timeout_seconds=0.05))
    api = ApiHarness(check_callback_url=lambda _: stuck())
    with api.client:
        answer = api.client.post(
            "/v1/jobs", content=b"RIFF", params={"callback_url": "https://slow.example/hook"}
        )
    assert (answer.status_code, answer.json()["code"]) == (422, AddressUnresolved.code)
