"""Voices: untrained, with deep vibrato, or with few notes."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from shared.domain.report import TuningReport
from tests.support import tones
from tests.support.tones import RATE
from worker.tuning.estimator import estimate_tuning


def off(report: TuningReport, a4_hz: float) -> float:
    """Error in cents, modulo a semitone."""
    assert report.a4_hz is not None
    return (1200 * math.log2(report.a4_hz / a4_hz) + 50) % 100 - 50


def test_the_interval_of_an_untrained_singer_covers_the_truth() -> None:
    covered = conclusive = 0
    for seed in range(12):
        apart, vibrato = ((15, 40), (10, 25))[seed % 2]
        report = estimate_tuning(
            tones.singer(437.0, seed=seed, spread_cents=apart, vibrato_cents=vibrato), RATE
        )
        if report.reason is None:
            conclusive += 1
            covered += abs(off(report, 437.0)) <= (report.uncertainty_cents or 0)
    assert conclusive >= 9
    assert covered >= 0.9 * conclusive


def test_a_trained_singer_is_accurate_to_three_cents() -> None:
    errors = [
        abs(off(estimate_tuning(tones.singer(437.0, seed=s, spread_cents=4, vibrato_cents=40), RATE), 437.0))
        for s in range(5)
    ]
    assert np.median(errors) < 2.0
    assert max(errors) < 4.0


def test_notes_with_different_deviations_are_averaged() -> None:
    """Seven notes from 8 cents flat to 16 sharp: the place where two of them meet is not the tuning."""
    errors = []
    for seed in range(4):
        random = np.random.default_rng(seed)
        order = np.concatenate([random.permutation(7) for _ in range(8)])
        notes = np.array(tones.MAJOR[:7]) * 100.0 + random.permutation(np.arange(-8.0, 17.0, 4.0))
        for vibrato in (35, 45):
            line = tones.melody(
                440.0, notes=list(notes[order]), seconds=20, vibrato_cents=vibrato, note_seconds=0.6
            )
            errors.append(abs(off(estimate_tuning(line, RATE), 440.0 * 2 ** (4.0 / 1200))))
    assert np.mean(errors) < 1.2


@pytest.mark.parametrize("vibrato", [60, 80, 100])
@pytest.mark.parametrize("two", [False, True], ids=["one voice", "two voices"])
def test_deep_vibrato_in_short_notes_is_never_confidently_wrong(vibrato: float, *, two: bool) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        notes = [100.0 * random.choice(tones.MAJOR) for _ in range(60)]
        line = tones.melody(437.0, notes=notes, vibrato_cents=vibrato)
        if two:
            low = tones.melody(218.5, notes=notes[::-1], vibrato_cents=vibrato, note_seconds=1.0)
            line += low[: line.size]
        report = estimate_tuning(line, RATE)
        assert abs(off(report, 437.0)) < 3.0 or report.confidence < 0.5


@pytest.mark.parametrize("notes", [(0, 400, 700), (0, 700), (200, 500)])
@pytest.mark.parametrize("vibrato", [0, 25])
def test_few_notes_are_enough(notes: Sequence[float], vibrato: float) -> None:
    random = np.random.default_rng(3)
    line = tones.melody(
        436.5, notes=[float(random.choice(notes)) for _ in range(40)], vibrato_cents=vibrato, note_seconds=1.2
    )
    report = estimate_tuning(line, RATE)
    assert abs(off(report, 436.5)) < 1.0
    assert report.confidence > 0.8
    assert "few_notes" in report.remarks


def test_a_slightly_sinking_choir_has_less_confidence() -> None:
    steady = estimate_tuning(tones.melody(440.0, seconds=60), RATE)
    sinking = estimate_tuning(tones.melody(440.0, seconds=60, bend=lambda second: -second / 3), RATE)
    assert sinking.confidence < steady.confidence - 0.2
    assert "tuning_moves" in sinking.remarks
    drift = [cents for cents in sinking.drift_cents if cents is not None]
    assert drift[0] > 5
    assert drift[-1] < -5
