"""The semitone circle: wrapped pitches, directions and resultants."""

import numpy as np
import pytest

from worker.tuning.spectral.circle import directions, resultant, resultant_length, wrap

PITCHES = np.random.default_rng(1).uniform(-5000.0, 5000.0, 10_000)


def test_arrays_wrap_like_numbers() -> None:
    cents = np.concatenate([PITCHES, np.arange(-400.0, 401.0, 50.0)])
    assert np.allclose(wrap(cents), [wrap(value) for value in cents.tolist()], rtol=0.0, atol=1e-9)


def test_half_a_semitone_wraps_downwards() -> None:
    assert wrap(50.0) == -50.0
    assert wrap(np.array([50.0, -50.0, 150.0])).tolist() == [-50.0, -50.0, -50.0]


def test_pitches_a_semitone_apart_lie_in_the_same_direction() -> None:
    cosine, sine = directions(np.array([25.0, 4025.0, -3975.0]))
    assert cosine == pytest.approx(0.0, abs=1e-6)
    assert sine == pytest.approx(1.0, abs=1e-6)


def test_the_resultant_is_as_exact_as_in_float64() -> None:
    weight = np.abs(PITCHES)
    expected = complex((weight * np.exp(2j * np.pi / 100.0 * PITCHES)).sum())
    assert abs(resultant(PITCHES, weight) - expected) < 1e-6 * weight.sum()


def test_equal_pitches_have_the_greatest_resultant_length() -> None:
    assert resultant_length(np.full(7, 33.0), np.arange(1.0, 8.0)) == pytest.approx(1.0)
    assert resultant_length(np.array([0.0, 50.0]), np.ones(2)) == pytest.approx(0.0, abs=1e-6)
    assert resultant_length(np.zeros(0), np.zeros(0)) == 0.0
