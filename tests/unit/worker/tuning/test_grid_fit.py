"""The semitone grid of artificial histograms with known peaks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pitch_histograms import histogram_peak, make_histogram
from worker.tuning.grid_fit import GridFit, fit_grid
from worker.tuning.pitch_histogram import BINS
from worker.tuning.robust_mean import jackknife_error, robust_means
from worker.tuning.spectral.circle import wrap


def fit(counts: NDArray[np.float64]) -> GridFit:
    found = fit_grid(counts, counts)
    assert found is not None
    return found


@pytest.mark.parametrize("cents", [-49.99, -31.77, 0.0, 12.34, 49.99])
def test_the_grid_is_found_at_any_deviation(cents: float) -> None:
    found = fit(make_histogram([(note, 0, cents) for note in range(7)]))
    assert wrap(found.cents - cents) == pytest.approx(0.0, abs=0.01)
    assert (found.note_error, found.time_error) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_the_note_error_is_the_distance_of_the_notes() -> None:
    """The jackknife leaves out either of two notes, which leaves the other, 3 cents off the middle."""
    found = fit(make_histogram([(0, 0, -3.0), (7, 0, 3.0)]))
    assert found.cents == pytest.approx(0.0, abs=0.01)
    assert found.note_error == pytest.approx(3.0, abs=0.05)
    assert found.time_error == 0.0


def test_the_time_error_is_the_distance_of_the_segments() -> None:
    found = fit(make_histogram([(note, second, -3.0 + 6.0 * second) for note in (0, 7) for second in (0, 1)]))
    assert found.time_error == pytest.approx(3.0, abs=0.05)
    assert found.note_error == pytest.approx(0.0, abs=1e-6)


def test_the_jackknife_error_of_a_mean_is_its_standard_error() -> None:
    values = np.array([1.0, 4.0, 2.0, 9.0, 5.0])
    left_out = (values.sum() - values) / 4
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_a_rare_note_does_not_increase_the_error() -> None:
    assert fit(make_histogram([(0, 0, 0.0), (7, 0, 6.0, 0.009)])).note_error == 0.0


def test_many_scattered_notes_outweigh_one_exact_note() -> None:
    """Singers and a humming fan: the singers have the tuning."""
    singers = make_histogram([(0, 0, 0.0)], width=8.0)
    assert fit(singers + make_histogram([(4, 0, 40.0, 0.6)], width=1.0)).cents == pytest.approx(0.0, abs=0.5)


def test_two_strings_of_one_note_are_averaged() -> None:
    """Two piano strings 4 cents apart: a small change in level moves the estimate by a cent at most."""
    one = fit(make_histogram([(0, 0, -2.0, 1.0), (0, 0, 2.0, 0.9)], width=1.0)).cents
    other = fit(make_histogram([(0, 0, -2.0, 0.9), (0, 0, 2.0, 1.0)], width=1.0)).cents
    assert 0.0 < other - one < 1.0


def test_a_uniform_background_does_not_bias_the_grid() -> None:
    counts = make_histogram([(0, 0, 20.0)])
    counts[5, 0] += 3.0 / BINS
    assert fit(counts).cents == pytest.approx(20.0, abs=0.2)


def test_all_tones_select_the_grid_and_sustained_tones_place_it() -> None:
    """Also if more of the sustained weight lies on another grid."""
    every = make_histogram([(0, 0, 0.0, 3.0), (5, 0, 40.0, 1.0)])
    settled = make_histogram([(0, 0, 2.0, 1.0), (5, 0, 40.0, 1.5)])
    found = fit_grid(every, settled)
    assert found is not None
    assert found.cents == pytest.approx(2.0, abs=0.1)


def test_a_grid_that_crosses_half_a_semitone_is_wrapped() -> None:
    found = fit_grid(make_histogram([(0, 0, 49.0)]), make_histogram([(0, 0, 51.0)]))
    assert found is not None
    assert found.cents == pytest.approx(-49.0, abs=0.1)


def test_the_peak_share_excludes_the_uniform_background() -> None:
    everywhere = np.zeros((12, 1, BINS))
    everywhere[0] = 1.0 / BINS
    on_it = make_histogram([(0, 0, 0.0)], width=1.0)
    assert fit(on_it).peak_share == pytest.approx(1.0, abs=1e-3)
    assert fit(on_it + everywhere).peak_share == pytest.approx(0.5, abs=0.01)
    assert fit(everywhere).peak_share == pytest.approx(0.0, abs=1e-9)


def test_the_second_peak_ratio_is_a_ratio_of_heights() -> None:
    found = fit(make_histogram([(0, 0, 0.0), (4, 0, 30.0, 0.5)]))
    assert found.second_peak_ratio == pytest.approx(0.5, abs=0.02)
    assert found.quarter_tone_ratio < 0.1


def test_the_quarter_tone_ratio_does_not_depend_on_noise() -> None:
    counts = make_histogram([(0, 0, 0.0), (4, 0, 50.0, 0.7)])
    clean = fit(counts).quarter_tone_ratio
    assert clean > 0.4
    counts[9, 0] += 2.0 / BINS
    assert fit(counts).quarter_tone_ratio == pytest.approx(clean)


def test_an_empty_histogram_has_no_grid() -> None:
    nothing = np.zeros((12, 2, BINS))
    assert fit_grid(nothing, nothing) is None


def test_robust_means_ignore_outliers_in_each_row() -> None:
    rows = np.stack([histogram_peak(-3.0), histogram_peak(4.0) + histogram_peak(40.0, weight=0.3)])
    assert robust_means(rows, 0.0, 8.0) == pytest.approx([-3.0, 4.0], abs=0.1)


@pytest.mark.parametrize(("cents", "folded"), [(0.0, 0.0), (49.0, 49.0), (51.0, -49.0), (-151.0, 49.0)])
def test_cents_are_folded_to_the_nearest_semitone(cents: float, folded: float) -> None:
    assert wrap(cents) == folded
