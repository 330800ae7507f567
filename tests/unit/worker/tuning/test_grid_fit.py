"""Where the grid lies, what rivals it has and how surely it is known, on make_histogram of known place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pitch_histograms import histogram_peak, make_histogram
from worker.tuning.grid_fit import GridFit, fit_grid, jackknife_error, robust_means, wrap
from worker.tuning.pitch_histogram import BINS


def fit(counts: NDArray[np.float64]) -> GridFit:
    found = fit_grid(counts, counts)
    assert found is not None
    return found


@pytest.mark.parametrize("cents", [-49.99, -31.77, 0.0, 12.34, 49.99])
def test_the_grid_is_found_wherever_it_lies(cents: float) -> None:
    found = fit(make_histogram([(note, 0, cents) for note in range(7)]))
    assert wrap(found.cents - cents) == pytest.approx(0.0, abs=0.01)
    assert (found.note_error, found.time_error) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_notes_that_lie_apart_make_the_answer_as_uncertain_as_they_are() -> None:
    """Left out in turn, either of two notes leaves the other, 3 cents off their middle."""
    found = fit(make_histogram([(0, 0, -3.0), (7, 0, 3.0)]))
    assert found.cents == pytest.approx(0.0, abs=0.01)
    assert found.note_error == pytest.approx(3.0, abs=0.05)
    assert found.time_error == 0.0


def test_stretches_of_time_that_lie_apart_make_the_answer_as_uncertain_as_they_are() -> None:
    found = fit(make_histogram([(note, second, -3.0 + 6.0 * second) for note in (0, 7) for second in (0, 1)]))
    assert found.time_error == pytest.approx(3.0, abs=0.05)
    assert found.note_error == pytest.approx(0.0, abs=1e-6)


def test_the_error_of_a_mean_is_the_one_of_the_textbooks() -> None:
    values = np.array([1.0, 4.0, 2.0, 9.0, 5.0])
    left_out = (values.sum() - values) / 4
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_a_note_that_hardly_sounds_makes_nothing_uncertain() -> None:
    assert fit(make_histogram([(0, 0, 0.0), (7, 0, 6.0, 0.009)])).note_error == 0.0


def test_many_notes_that_lie_around_a_place_outweigh_one_that_is_exact() -> None:
    """Singers against a fan that hums: theirs is the tuning."""
    singers = make_histogram([(0, 0, 0.0)], width=8.0)
    assert fit(singers + make_histogram([(4, 0, 40.0, 0.6)], width=1.0)).cents == pytest.approx(0.0, abs=0.5)


def test_of_two_strings_of_one_note_neither_takes_all() -> None:
    """A piano's, 4 cents apart: which of them is a little louder changes the answer by a cent at most."""
    one = fit(make_histogram([(0, 0, -2.0, 1.0), (0, 0, 2.0, 0.9)], width=1.0)).cents
    other = fit(make_histogram([(0, 0, -2.0, 0.9), (0, 0, 2.0, 1.0)], width=1.0)).cents
    assert 0.0 < other - one < 1.0


def test_what_is_everywhere_does_not_draw_the_grid() -> None:
    counts = make_histogram([(0, 0, 20.0)])
    counts[5, 0] += 3.0 / BINS
    assert fit(counts).cents == pytest.approx(20.0, abs=0.2)


def test_settled_tones_tell_where_the_grid_lies_and_all_tones_which_one() -> None:
    """Even where more of what has settled lies on another grid."""
    every = make_histogram([(0, 0, 0.0, 3.0), (5, 0, 40.0, 1.0)])
    settled = make_histogram([(0, 0, 2.0, 1.0), (5, 0, 40.0, 1.5)])
    found = fit_grid(every, settled)
    assert found is not None
    assert found.cents == pytest.approx(2.0, abs=0.1)


def test_a_grid_that_settles_across_the_middle_of_two_semitones_is_told_from_the_nearer_one() -> None:
    found = fit_grid(make_histogram([(0, 0, 49.0)]), make_histogram([(0, 0, 51.0)]))
    assert found is not None
    assert found.cents == pytest.approx(-49.0, abs=0.1)


def test_the_share_on_the_grid_is_what_chance_would_not_put_there() -> None:
    everywhere = np.zeros((12, 1, BINS))
    everywhere[0] = 1.0 / BINS
    on_it = make_histogram([(0, 0, 0.0)], width=1.0)
    assert fit(on_it).share == pytest.approx(1.0, abs=1e-3)
    assert fit(on_it + everywhere).share == pytest.approx(0.5, abs=0.01)
    assert fit(everywhere).share == pytest.approx(0.0, abs=1e-9)


def test_a_second_grid_half_as_full_is_half_a_rival() -> None:
    found = fit(make_histogram([(0, 0, 0.0), (4, 0, 30.0, 0.5)]))
    assert found.rival == pytest.approx(0.5, abs=0.02)
    assert found.quarter < 0.1


def test_quarter_tones_are_told_from_other_rivals_however_much_noise_there_is() -> None:
    counts = make_histogram([(0, 0, 0.0), (4, 0, 50.0, 0.7)])
    clean = fit(counts).quarter
    assert clean > 0.4
    counts[9, 0] += 2.0 / BINS
    assert fit(counts).quarter == pytest.approx(clean)


def test_without_any_tone_there_is_no_grid() -> None:
    nothing = np.zeros((12, 2, BINS))
    assert fit_grid(nothing, nothing) is None


def test_each_row_has_its_own_mean_that_strays_do_not_move() -> None:
    rows = np.stack([histogram_peak(-3.0), histogram_peak(4.0) + histogram_peak(40.0, weight=0.3)])
    assert robust_means(rows, 0.0, 8.0) == pytest.approx([-3.0, 4.0], abs=0.1)


@pytest.mark.parametrize(("cents", "folded"), [(0.0, 0.0), (49.0, 49.0), (51.0, -49.0), (-151.0, 49.0)])
def test_cents_are_folded_to_the_nearest_semitone(cents: float, folded: float) -> None:
    assert wrap(cents) == folded
