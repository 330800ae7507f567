"""Voices: untrained, with deep vibrato, of few notes. Right, or honestly unsure."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from shared.report import TuningReport
from tests import tones
from tests.tones import RATE
from worker.evidence import BINS
from worker.scatter import scatter_of
from worker.tuning import measure_tuning


def off(report: TuningReport, a4_hz: float) -> float:
    """Cents off the truth, modulo a semitone."""
    assert report.a4_hz is not None
    return (1200 * math.log2(report.a4_hz / a4_hz) + 50) % 100 - 50


def test_an_untrained_singers_interval_holds_the_truth_nine_times_in_ten() -> None:
    held = told = 0
    for seed in range(12):
        apart, vibrato = ((15, 40), (10, 25))[seed % 2]
        report = measure_tuning(
            tones.singer(437.0, seed=seed, apart_cents=apart, vibrato_cents=vibrato), RATE
        )
        if report.reason is None:
            told += 1
            held += abs(off(report, 437.0)) <= (report.uncertainty_cents or 0)
    assert told >= 9
    assert held >= 0.9 * told


def test_a_trained_singer_is_heard_to_three_cents() -> None:
    errors = [
        abs(off(measure_tuning(tones.singer(437.0, seed=s, apart_cents=4, vibrato_cents=40), RATE), 437.0))
        for s in range(5)
    ]
    assert np.median(errors) < 2.0
    assert max(errors) < 4.0


@pytest.mark.parametrize("vibrato", [60, 80, 100])
@pytest.mark.parametrize("two", [False, True], ids=["one voice", "two voices"])
def test_deep_vibrato_in_short_notes_is_never_surely_wrong(vibrato: float, *, two: bool) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        notes = [100.0 * random.choice(tones.MAJOR) for _ in range(60)]
        line = tones.melody(437.0, notes=notes, vibrato_cents=vibrato)
        if two:
            low = tones.melody(218.5, notes=notes[::-1], vibrato_cents=vibrato, note_seconds=1.0)
            line += low[: line.size]
        report = measure_tuning(line, RATE)
        assert abs(off(report, 437.0)) < 3.0 or report.confidence < 0.5


@pytest.mark.parametrize("notes", [(0, 400, 700), (0, 700), (200, 500)])
@pytest.mark.parametrize("vibrato", [0, 25])
def test_few_notes_are_enough(notes: Sequence[float], vibrato: float) -> None:
    random = np.random.default_rng(3)
    line = tones.melody(
        436.5, notes=[float(random.choice(notes)) for _ in range(40)], vibrato_cents=vibrato, note_seconds=1.2
    )
    report = measure_tuning(line, RATE)
    assert abs(off(report, 436.5)) < 1.0
    assert report.confidence > 0.8
    assert "few_notes" in report.remarks


def test_a_choir_that_sinks_a_little_is_less_sure_than_one_that_does_not() -> None:
    steady = measure_tuning(tones.melody(440.0, seconds=60), RATE)
    sinking = measure_tuning(tones.melody(440.0, seconds=60, bend=lambda second: -second / 3), RATE)
    assert sinking.confidence < steady.confidence - 0.2
    assert "tuning_moves" in sinking.remarks
    told = [cents for cents in sinking.drift_cents if cents is not None]
    assert told[0] > 5
    assert told[-1] < -5


def heaps(cents: Sequence[float]) -> np.ndarray:
    """One pitch class for each of `cents`, two cents wide."""
    place = np.arange(BINS) / 4 - 49.875
    counts = np.zeros((12, 1, BINS))
    for row, at in enumerate(cents):
        counts[row, 0] = np.exp(-0.5 * ((place - at) / 2) ** 2)
    return counts


def test_notes_that_lie_apart_widen_the_error() -> None:
    together = scatter_of(heaps([3.0] * 9), 3.0)
    apart = scatter_of(heaps([-12.0, -9, -6, -3, 0, 3, 6, 9, 12]), 0.0)
    assert together.spread_cents < 0.3
    assert together.error_cents < 0.2
    assert apart.spread_cents == pytest.approx(6.0, abs=0.5)
    assert apart.error_cents == pytest.approx(1.4826 * 6 / 3, abs=0.4)
    assert apart.mean_cents == pytest.approx(0.0, abs=0.3)
