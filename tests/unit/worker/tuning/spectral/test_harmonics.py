import pytest

from tests.support.peaks import make_peaks
from worker.tuning.spectral.harmonics import match_harmonics

FIFTH = 1901.955
"""Cents from a tone to its third partial."""


def test_a_single_tone_is_a_fundamental() -> None:
    matches = match_harmonics(make_peaks([(0, 0.0)]))
    assert matches.share.tolist() == matches.weight.tolist()
    assert matches.fundamental_share.tolist() == [1.0]


def test_a_third_partial_counts_more_as_a_partial_than_as_a_fundamental() -> None:
    matches = match_harmonics(make_peaks([(0, 0.0), (0, FIFTH)]))
    assert matches.fundamentals[2].tolist() == [-1, 0]
    assert matches.fundamental_share.tolist() == [1.0, 0.25]


def test_an_octave_counts_only_as_a_partial() -> None:
    assert match_harmonics(make_peaks([(0, 0.0), (0, 1200.0)])).fundamental_share.tolist() == [1.0, 0.0]


def test_the_matches_of_a_tone_share_its_weight() -> None:
    matches = match_harmonics(make_peaks([(0, -1200.0), (0, 0.0), (0, FIFTH - 1200.0), (0, FIFTH)]))
    orders = (matches.fundamentals >= 0).sum(axis=0) - 1
    assert matches.share * (orders + matches.fundamental_share) == pytest.approx(matches.weight)


def test_sustain_grows_while_a_tone_lasts() -> None:
    matches = match_harmonics(make_peaks([(frame, 0.0) for frame in range(6)]))
    assert matches.sustain == pytest.approx([0.1, 1 / 3, 2 / 3, 1.0, 1.0, 1.0])


def test_a_new_onset_resets_only_the_sustain_since_onset() -> None:
    levels = [0.0, -1.0, -2.0, -3.0, 4.0, 3.0, 2.0]
    matches = match_harmonics(
        make_peaks([(frame, 0.0, level) for frame, level in enumerate(levels)]), track_onsets=True
    )
    assert matches.sustain.tolist()[3:] == [1.0, 1.0, 1.0, 1.0]
    assert matches.sustain_since_onset == pytest.approx([0.02, 0.2, 0.4, 0.6, 0.02, 0.2, 0.4])


def test_onsets_are_tracked_only_on_request() -> None:
    assert match_harmonics(make_peaks([(0, 0.0)])).sustain_since_onset is None


def test_no_peaks_have_no_matches() -> None:
    matches = match_harmonics(make_peaks([]))
    assert matches.cents.size == 0
    assert matches.sounding_seconds == 0.0
