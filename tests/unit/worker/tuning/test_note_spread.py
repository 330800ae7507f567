"""The spread of notes around the grid."""

import numpy as np
import pytest

from tests.support.pitch_histograms import make_histogram
from worker.tuning.note_spread import NoteSpread, measure_note_spread


def scattered(*cents: float, around: float) -> NoteSpread:
    """The spread of one pitch class for each of `cents`."""
    return measure_note_spread(make_histogram([(note, 0, at) for note, at in enumerate(cents)]), around)


def test_the_notes_of_an_instrument_have_no_spread() -> None:
    together = scattered(*[3.0] * 9, around=3.0)
    assert together.spread_cents < 0.3
    assert together.error_cents < 0.2


def test_scattered_notes_increase_the_error() -> None:
    apart = scattered(-12.0, -9, -6, -3, 0, 3, 6, 9, 12, around=0.0)
    assert apart.spread_cents == pytest.approx(6.0, abs=0.5)
    assert apart.error_cents == pytest.approx(1.4826 * 6 / 3, abs=0.4)
    assert apart.mean_cents == pytest.approx(0.0, abs=0.3)


def test_the_mean_is_relative_to_the_fitted_grid() -> None:
    assert scattered(0.0, 0.0, 0.0, 12.0, 12.0, around=0.0).mean_cents == pytest.approx(4.8, abs=0.2)
    assert scattered(0.0, 0.0, 0.0, 12.0, 12.0, around=4.0).mean_cents == pytest.approx(0.8, abs=0.2)


def test_notes_around_half_a_semitone_are_wrapped() -> None:
    around_the_edge = scattered(48.0, -48.0, around=49.9)
    assert abs(around_the_edge.mean_cents) < 0.3
    assert around_the_edge.spread_cents < 5.0


def test_notes_far_from_the_grid_do_not_bias_the_mean() -> None:
    assert scattered(0.0, 0.0, 0.0, 45.0, around=0.0).mean_cents == pytest.approx(0.0, abs=0.2)


def test_a_rare_pitch_class_is_ignored() -> None:
    sung = [(0, 0, 0.0, 1.0), (1, 0, 0.0, 1.0)]
    assert measure_note_spread(make_histogram([*sung, (2, 0, 20.0, 0.003)]), 0.0) == measure_note_spread(
        make_histogram(sung), 0.0
    )


def test_a_note_lies_at_its_most_frequent_pitch() -> None:
    missed = make_histogram([(0, 0, 0.0), (0, 0, 20.0, 0.6), (4, 0, 0.0)])
    assert measure_note_spread(missed, 0.0).mean_cents == pytest.approx(0.0, abs=0.2)


def test_each_segment_counts_as_an_independent_note() -> None:
    once = measure_note_spread(make_histogram([(0, 0, -6.0), (4, 0, 0.0), (7, 0, 6.0)]), 0.0)
    again = measure_note_spread(
        make_histogram([(n, s, at) for s in range(4) for n, at in ((0, -6.0), (4, 0.0), (7, 6.0))]), 0.0
    )
    assert again.error_cents == pytest.approx(0.5 * once.error_cents, rel=0.01)


def test_a_uniform_pitch_class_has_no_weight() -> None:
    """A loud drum fills one pitch class uniformly and does not change the mean of the notes."""
    counts = make_histogram([(0, 0, 5.0), (4, 0, 5.0), (8, 0, 25.0, 0.01)])
    counts[8, 0] += 2.0 / counts.shape[2]
    assert measure_note_spread(counts, 0.0).mean_cents == pytest.approx(5.0, abs=0.2)
    assert np.isfinite(measure_note_spread(counts, 0.0).error_cents)
