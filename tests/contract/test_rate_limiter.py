import threading
import time

from shared.ports.access import Quota, RateLimiter

FIVE = Quota(name="five", most=5, window_seconds=60)


def test_so_many_fit_and_no_more(limiter: RateLimiter) -> None:
    taken = [limiter.take(FIVE, "a") for _ in range(7)]
    assert [each.fits for each in taken] == [True] * 5 + [False] * 2
    assert [each.left for each in taken] == [4, 3, 2, 1, 0, 0, 0]
    assert all(1 <= each.reset_seconds <= 60 for each in taken)


def test_subjects_and_quotas_do_not_share(limiter: RateLimiter) -> None:
    for _ in range(5):
        limiter.take(FIVE, "a")
    assert limiter.take(FIVE, "b").fits
    assert limiter.take(Quota(name="other", most=5, window_seconds=60), "a").fits
    assert not limiter.take(FIVE, "a").fits


def test_there_is_more_after_the_window(limiter: RateLimiter) -> None:
    short = Quota(name="short", most=1, window_seconds=1)
    assert limiter.take(short, "a").fits
    deadline = time.monotonic() + 10
    while not limiter.take(short, "a").fits:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_was_had_is_charged_even_where_it_does_not_fit(limiter: RateLimiter) -> None:
    gigabytes = Quota(name="bytes", most=5_000_000_000, window_seconds=86_400)
    assert limiter.look(gigabytes, "a").left == 5_000_000_000
    limiter.charge(gigabytes, "a", 4_999_999_999)
    assert (limiter.look(gigabytes, "a").fits, limiter.look(gigabytes, "a").left) == (True, 1)
    limiter.charge(gigabytes, "a", 2_000_000_000)
    assert (limiter.look(gigabytes, "a").fits, limiter.look(gigabytes, "a").left) == (False, 0)
    assert limiter.look(gigabytes, "b").fits


def test_places_are_few_and_come_back(limiter: RateLimiter) -> None:
    def hold(place: str, subject: str = "a") -> bool:
        return limiter.hold("uploads", subject, place, most=2, seconds=60)

    assert (hold("1"), hold("2"), hold("3")) == (True, True, False)
    assert hold("1"), "a place that is held may be kept"
    assert hold("3", subject="b")
    limiter.let_go("uploads", "a", "1")
    limiter.let_go("uploads", "a", "never held")
    assert limiter.places("uploads", "a") == ("2",)
    assert hold("3")
    assert limiter.places("uploads", "nobody") == ()


def test_a_place_that_is_not_kept_is_free_again(limiter: RateLimiter) -> None:
    assert limiter.hold("uploads", "a", "1", most=1, seconds=0.2)
    deadline = time.monotonic() + 10
    while not limiter.hold("uploads", "a", "2", most=1, seconds=60):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert limiter.places("uploads", "a") == ("2",)


def test_of_many_at_once_only_so_many_get_a_place(limiter: RateLimiter) -> None:
    got: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda n=number: got.append(limiter.hold("uploads", "a", str(n), most=3, seconds=60))
        )
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 3
