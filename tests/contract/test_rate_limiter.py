import threading
import time

from shared.ports.access import Quota, RateLimiter

FIVE = Quota(name="five", limit=5, window_seconds=60)


def test_requests_are_allowed_up_to_the_limit(limiter: RateLimiter) -> None:
    taken = [limiter.consume(FIVE, "a") for _ in range(7)]
    assert [each.allowed for each in taken] == [True] * 5 + [False] * 2
    assert [each.remaining for each in taken] == [4, 3, 2, 1, 0, 0, 0]
    assert all(1 <= each.reset_seconds <= 60 for each in taken)


def test_subjects_and_quotas_are_counted_separately(limiter: RateLimiter) -> None:
    for _ in range(5):
        limiter.consume(FIVE, "a")
    assert limiter.consume(FIVE, "b").allowed
    assert limiter.consume(Quota(name="other", limit=5, window_seconds=60), "a").allowed
    assert not limiter.consume(FIVE, "a").allowed


def test_the_limit_resets_after_the_window(limiter: RateLimiter) -> None:
    short = Quota(name="short", limit=1, window_seconds=1)
    assert limiter.consume(short, "a").allowed
    deadline = time.monotonic() + 10
    while not limiter.consume(short, "a").allowed:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_charge_counts_even_above_the_limit(limiter: RateLimiter) -> None:
    gigabytes = Quota(name="bytes", limit=5_000_000_000, window_seconds=86_400)
    assert limiter.peek(gigabytes, "a").remaining == 5_000_000_000
    limiter.charge(gigabytes, "a", 4_999_999_999)
    assert (limiter.peek(gigabytes, "a").allowed, limiter.peek(gigabytes, "a").remaining) == (True, 1)
    limiter.charge(gigabytes, "a", 2_000_000_000)
    assert (limiter.peek(gigabytes, "a").allowed, limiter.peek(gigabytes, "a").remaining) == (False, 0)
    assert limiter.peek(gigabytes, "b").allowed


def test_slots_are_limited_and_can_be_released(limiter: RateLimiter) -> None:
    def hold(place: str, subject: str = "a") -> bool:
        return limiter.acquire_slot("uploads", subject, place, limit=2, ttl_seconds=60)

    assert (hold("1"), hold("2"), hold("3")) == (True, True, False)
    assert hold("1"), "a place that is held may be kept"
    assert hold("3", subject="b")
    limiter.release_slot("uploads", "a", "1")
    limiter.release_slot("uploads", "a", "never held")
    assert limiter.list_slots("uploads", "a") == ("2",)
    assert hold("3")
    assert limiter.list_slots("uploads", "nobody") == ()


def test_a_slot_that_is_not_renewed_is_free_again(limiter: RateLimiter) -> None:
    assert limiter.acquire_slot("uploads", "a", "1", limit=1, ttl_seconds=0.2)
    deadline = time.monotonic() + 10
    while not limiter.acquire_slot("uploads", "a", "2", limit=1, ttl_seconds=60):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert limiter.list_slots("uploads", "a") == ("2",)


def test_concurrent_requests_get_no_more_slots_than_the_limit(limiter: RateLimiter) -> None:
    got: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda n=number: got.append(
                limiter.acquire_slot("uploads", "a", str(n), limit=3, ttl_seconds=60)
            )
        )
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 3
