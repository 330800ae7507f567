"""Percentiles from bins, and what counts as what."""

import random

import pytest

from shared.domain.history import bin_of, counters_of_change, quantiles
from shared.domain.job import Job
from tests.support.factories import make_job, make_report


def test_percentiles_are_right_to_five_percent() -> None:
    chance = random.Random(1)
    values = sorted(chance.lognormvariate(0, 2) for _ in range(5000))
    bins: dict[int, int] = {}
    for value in values:
        number = bin_of("waiting", value)
        bins[number] = bins.get(number, 0) + 1
    found = quantiles("waiting", bins)
    assert found is not None
    assert found.count == 5000
    assert found.p50 == pytest.approx(values[2499], rel=0.05)
    assert found.p95 == pytest.approx(values[4749], rel=0.05)
    assert found.p99 == pytest.approx(values[4949], rel=0.05)


def test_values_below_the_unit_fall_into_the_first_bin() -> None:
    assert bin_of("waiting", 0.0) == bin_of("waiting", -3.0) == 0


def test_a_lost_attempt_that_starts_again_counts_as_both() -> None:
    queued = make_job(queued_at=0.0)
    running: Job = queued.start(worker="w", now=10.0, lease_seconds=5)
    again: Job = running.start(worker="v", now=20.0, lease_seconds=5)
    counted = [name for _, name in counters_of_change(running, again)]
    assert counted == ["count:requeued", "count:started", "waiting:0"]


def test_no_measurements_have_no_percentiles() -> None:
    assert quantiles("memory", {}) is None


def test_a_change_without_a_transition_counts_nothing() -> None:
    done: Job = make_job().start(worker="w", now=1.0, lease_seconds=5).succeed(1, make_report(), now=2.0)
    assert counters_of_change(done, done.mark_audio_deleted()) == []
