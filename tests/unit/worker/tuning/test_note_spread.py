"""How far notes lie from one another, where each is sung a little differently."""

import numpy as np
import pytest

from tests.support.pitch_histograms import make_histogram
from worker.tuning.note_spread import NoteSpread, note_spread_of


def scattered(*cents: float, around: float) -> NoteSpread:
    """Of one pitch class for each of `cents`."""
    return note_spread_of(make_histogram([(note, 0, at) for note, at in enumerate(cents)]), around)


def test_notes_of_an_instrument_lie_together() -> None:
    together = scattered(*[3.0] * 9, around=3.0)
    assert together.spread_cents < 0.3
    assert together.error_cents < 0.2


def test_notes_that_lie_apart_widen_the_error() -> None:
    apart = scattered(-12.0, -9, -6, -3, 0, 3, 6, 9, 12, around=0.0)
    assert apart.spread_cents == pytest.approx(6.0, abs=0.5)
    assert apart.error_cents == pytest.approx(1.4826 * 6 / 3, abs=0.4)
    assert apart.mean_cents == pytest.approx(0.0, abs=0.3)


def test_a_singers_mean_is_told_from_the_fitted_grid() -> None:
    assert scattered(0.0, 0.0, 0.0, 12.0, 12.0, around=0.0).mean_cents == pytest.approx(4.8, abs=0.2)
    assert scattered(0.0, 0.0, 0.0, 12.0, 12.0, around=4.0).mean_cents == pytest.approx(0.8, abs=0.2)


def test_notes_on_both_sides_of_half_a_semitone_lie_together() -> None:
    around_the_edge = scattered(48.0, -48.0, around=49.9)
    assert abs(around_the_edge.mean_cents) < 0.3
    assert around_the_edge.spread_cents < 5.0


def test_what_lies_further_than_any_singer_does_not_draw_the_mean() -> None:
    assert scattered(0.0, 0.0, 0.0, 45.0, around=0.0).mean_cents == pytest.approx(0.0, abs=0.2)


def test_a_pitch_class_that_hardly_sounds_has_no_voice() -> None:
    sung = [(0, 0, 0.0, 1.0), (1, 0, 0.0, 1.0)]
    assert note_spread_of(make_histogram([*sung, (2, 0, 20.0, 0.003)]), 0.0) == note_spread_of(
        make_histogram(sung), 0.0
    )


def test_a_note_that_is_missed_now_and_then_lies_where_it_is_mostly_sung() -> None:
    missed = make_histogram([(0, 0, 0.0), (0, 0, 20.0, 0.6), (4, 0, 0.0)])
    assert note_spread_of(missed, 0.0).mean_cents == pytest.approx(0.0, abs=0.2)


def test_each_ten_seconds_are_sung_anew() -> None:
    once = note_spread_of(make_histogram([(0, 0, -6.0), (4, 0, 0.0), (7, 0, 6.0)]), 0.0)
    again = note_spread_of(
        make_histogram([(n, s, at) for s in range(4) for n, at in ((0, -6.0), (4, 0.0), (7, 6.0))]), 0.0
    )
    assert again.error_cents == pytest.approx(0.5 * once.error_cents, rel=0.01)


def test_what_is_everywhere_has_no_place() -> None:
    """A drum in the pitch class of no note, loud but hardly fuller anywhere: the notes' mean stays theirs."""
    counts = make_histogram([(0, 0, 5.0), (4, 0, 5.0), (8, 0, 25.0, 0.01)])
    counts[8, 0] += 2.0 / counts.shape[2]
    assert note_spread_of(counts, 0.0).mean_cents == pytest.approx(5.0, abs=0.2)
    assert np.isfinite(note_spread_of(counts, 0.0).error_cents)
