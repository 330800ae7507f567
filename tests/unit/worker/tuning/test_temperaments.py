"""Unequal temperaments with a known A, and other scales that are not a temperament."""

import math

import numpy as np
import pytest

from shared.domain.report import TuningReport, Verdict
from tests.support import tones
from tests.support.tones import RATE
from worker.tuning.estimator import estimate_tuning
from worker.tuning.pitch_histogram import BINS
from worker.tuning.temperaments import find_temperament


def off(report: TuningReport, a4_hz: float) -> float:
    """Error in cents, modulo a semitone."""
    assert report.a4_hz is not None
    return (1200 * math.log2(report.a4_hz / a4_hz) + 50) % 100 - 50


@pytest.mark.parametrize("scale", [name for name in tones.TEMPERAMENTS if name != "just"])
def test_a_temperament_is_recognized_with_its_a(scale: str) -> None:
    report = estimate_tuning(tones.tempered_music(scale, 440.0), RATE)
    assert (report.verdict, report.temperament) == (Verdict.A440, scale)
    assert abs(off(report, 440.0)) < 1.0
    assert "not_tempered" in report.remarks


@pytest.mark.parametrize("tonic", [0, 2, 9], ids=["C", "D", "A"])
@pytest.mark.parametrize("a4_hz", [432.0, 440.0, 451.0])
def test_the_a_of_just_intonation_is_found_in_any_key(tonic: int, a4_hz: float) -> None:
    report = estimate_tuning(tones.tempered_music("just", a4_hz, key=tonic, tonic=tonic), RATE)
    assert report.temperament == "just"
    assert abs(off(report, a4_hz)) < 1.0
    assert report.confidence > 0.5


def test_confidence_is_lower_if_a_never_sounds() -> None:
    notes = [tones.TEMPERAMENTS["just"][step] + 15.641 for step in (0, 2, 4, 7, 11) * 40]
    random = np.random.default_rng(2)
    report = estimate_tuning(tones.melody(440.0, notes=list(random.permutation(notes)), seconds=30), RATE)
    assert report.confidence < 0.9


def test_equal_temperament_is_not_an_unequal_one() -> None:
    report = estimate_tuning(tones.chorus(436.0, seconds=30), RATE)
    assert report.temperament is None
    assert "not_tempered" not in report.remarks


def counts_at(cents: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A histogram of tones a cent wide at `cents` above A minus 50."""
    place = (np.arange(12 * BINS) + 0.5) * (100 / BINS)
    away = (place[:, None] - cents + 600) % 1200 - 600
    histogram_peak = np.exp(-0.5 * (away / 1.2) ** 2) @ weight
    return np.asarray(
        (histogram_peak / histogram_peak.sum() + 0.1 / histogram_peak.size).reshape(12, 1, BINS)
    )


@pytest.mark.parametrize("steps", [5, 7, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 31, 36])
def test_other_equal_divisions_are_not_a_temperament(steps: int) -> None:
    random = np.random.default_rng(steps)
    for _ in range(10):
        cents = 1200 * np.arange(steps) / steps + random.uniform(0, 1200)
        assert find_temperament(counts_at(cents, random.dirichlet(np.full(steps, 3.0)))) is None


GAMELAN = {
    "slendro": ((0, 240, 480, 720, 960), 12.0),
    "pelog": ((0, 120, 270, 540, 670, 785, 950), 12.0),
    "thai": (tuple(1200 / 7 * step for step in range(7)), 5.0),
    "maqam": ((0, 150, 300, 500, 700, 850, 1000), 5.0),
}


@pytest.mark.parametrize("name", GAMELAN)
def test_non_western_scales_are_rarely_taken_for_a_temperament(name: str) -> None:
    steps, spread = GAMELAN[name]
    random = np.random.default_rng(7)
    passed = 0
    for _ in range(80):
        cents = np.array(steps) + random.normal(0, spread, len(steps)) + random.uniform(0, 1200)
        weight = random.dirichlet(np.full(len(steps), 3.0))
        passed += find_temperament(counts_at(cents, weight)) is not None
    assert passed <= 1


def test_random_pitches_are_not_a_temperament() -> None:
    random = np.random.default_rng(3)
    for round_ in range(300):
        number = 4 + round_ % 9
        cents = random.uniform(0, 1200, number)
        assert find_temperament(counts_at(cents, random.dirichlet(np.full(number, 3.0)))) is None


def test_an_empty_histogram_has_no_temperament() -> None:
    assert find_temperament(np.zeros((12, 3, BINS))) is None
