"""The tuning histogram of artificial peaks."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.pitch_histogram import BINS, PitchHistogram, make_pitch_histogram
from worker.tuning.spectral.harmonics import match_harmonics
from worker.tuning.spectral.inharmonicity import octave_of

PLACES = np.arange(BINS) / 4 - 49.875
THIRD = 1200.0 * np.log2(3)
SIXTH = 1200.0 * np.log2(6)


def histogram_of(
    peaks: Sequence[tuple[int, float]], *, segments: int = 1, track_onsets: bool = False
) -> PitchHistogram:
    return make_pitch_histogram(
        match_harmonics(make_peaks(peaks), track_onsets=track_onsets), np.zeros(8), segments
    )


def mean_cents(counts: NDArray[np.float64]) -> float:
    return float((counts * PLACES).sum() / counts.sum())


@pytest.mark.parametrize("cents", [-49.3, -31.77, -0.05, 0.0, 0.1, 12.34, 49.7])
def test_a_tone_is_interpolated_between_bins(cents: float) -> None:
    histogram = histogram_of([(0, cents)], track_onsets=True)
    assert mean_cents(histogram.sustained[0, 0]) == pytest.approx(cents, abs=1e-6)
    assert mean_cents(histogram.sustain_since_onset[0, 0]) == pytest.approx(cents, abs=1e-6)


@pytest.mark.parametrize("cents", [-0.2, -0.05, 0.05, 0.2])
def test_counts_use_the_nearest_bin(cents: float) -> None:
    counts = histogram_of([(0, cents)]).counts[0, 0]
    assert np.flatnonzero(counts).tolist() == [np.abs(PLACES - cents).argmin()]


def test_a_tone_between_two_semitones_stays_in_its_pitch_class() -> None:
    """Its weight is divided between the last bin and the first, not the next note."""
    sustained = histogram_of([(0, 49.99)]).sustained
    assert np.flatnonzero(sustained[0, 0]).tolist() == [0, BINS - 1]
    assert sustained[1:].sum() == 0.0


def test_notes_of_all_octaves_are_counted_by_pitch_class() -> None:
    histogram = histogram_of([(0, -2400.0), (1, 300.0), (2, 1500.0)])
    assert np.flatnonzero(histogram.counts.sum(axis=(1, 2))).tolist() == [0, 3]


def test_a_third_partial_counts_for_its_fundamental_and_for_itself() -> None:
    matches = match_harmonics(make_peaks([(0, 0.0), (0, THIRD + 3.0)]))
    counts = make_pitch_histogram(matches, np.zeros(8), 1).counts[:, 0]
    root, twelfth = matches.weight
    near = {place: float(counts[0, np.abs(PLACES - place).argmin()]) for place in (0.1, 3.1)}
    assert near[0.1] == pytest.approx(root)
    assert near[3.1] == pytest.approx(0.8 * twelfth)
    assert counts[7].sum() == pytest.approx(0.2 * twelfth)


def test_the_stretch_of_a_sixth_partial_is_compensated() -> None:
    """By the stretch of the octave of the fundamental, not its own."""
    stretch = np.where(np.arange(8) == octave_of(np.zeros(1)), 14.0 / 35, 0.0)
    matches = match_harmonics(make_peaks([(0, 0.0), (0, SIXTH + 14.0)]))
    sustained = make_pitch_histogram(matches, stretch, 1).sustained[0, 0]
    assert sustained[np.abs(PLACES) < 1.0].sum() == pytest.approx(sustained.sum())
    assert mean_cents(sustained) == pytest.approx(0.0, abs=1e-6)


def test_segments_are_ten_seconds_and_the_last_has_the_remainder() -> None:
    counts = histogram_of([(0, 0.0), (99, 100.0), (101, 200.0), (250, 300.0)], segments=2).counts
    by_note = (counts.sum(axis=2) > 0.0)[:4]
    assert by_note.tolist() == [[True, False], [True, False], [False, True], [False, True]]


def test_a_new_tone_has_little_sustained_weight() -> None:
    histogram = histogram_of([(0, 0.0), *((frame, 700.0) for frame in range(4))])
    assert histogram.counts[7].sum() > 2.0 * histogram.counts[0].sum()
    share = (histogram.sustained.sum(axis=(1, 2)) / np.maximum(histogram.counts.sum(axis=(1, 2)), 1e-9))[
        [0, 7]
    ]
    assert share == pytest.approx([0.1, np.mean([0.1, 1 / 3, 2 / 3, 1.0])])


def test_histograms_of_two_windows_add_up() -> None:
    one, other = histogram_of([(0, 0.0)], track_onsets=True), histogram_of([(0, 700.0)])
    both = one + other
    for name in ("counts", "sustained", "sustain_since_onset", "semitone_resultants"):
        assert getattr(both, name) == pytest.approx(getattr(one, name) + getattr(other, name))
    assert both.salience == one.salience + other.salience
    wavering = histogram_of([(frame, 9.0 * frame + side) for frame in range(4) for side in (-30.0, 30.0)])
    assert wavering.peak_power_share < 0.7
    assert wavering.centroid_resultant < 0.9
    for sum_ in (one + wavering, wavering + one):
        assert sum_.peak_power_share == wavering.peak_power_share
        assert sum_.centroid_resultant == one.centroid_resultant


def test_the_resultant_length_measures_agreement() -> None:
    assert histogram_of([(0, 10.0), (1, 710.0), (2, -590.0)]).resultant_length == pytest.approx(1.0)
    assert histogram_of([(0, 0.0), (1, 50.0)]).resultant_length < 0.02
    assert histogram_of([(0, 0.0), (1, 25.0)]).resultant_length == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_octaves_share_a_pitch_class() -> None:
    histogram = histogram_of([(0, 0.0), (1, 1200.0)])
    assert histogram.effective_semitones == pytest.approx(2.0, abs=0.1)
    assert histogram.effective_pitch_classes == pytest.approx(1.0)


def test_partials_off_the_grid_hardly_count_in_the_resultants() -> None:
    """The seventh lies 31 cents below a note."""
    matches = match_harmonics(make_peaks([(0, 0.0), (0, 1200.0 * np.log2(7))]))
    plain = make_pitch_histogram(matches, np.zeros(8), 1).semitone_resultants[1].real
    assert plain[[69, 103]] == pytest.approx(matches.weight * [1.0, 0.05])


def test_rests_do_not_reduce_the_salience() -> None:
    assert histogram_of([(0, 0.0), (90, 0.0)]).salience == pytest.approx(
        histogram_of([(0, 0.0), (1, 0.0)]).salience
    )


def test_no_peaks_give_an_empty_histogram() -> None:
    silent = histogram_of([])
    assert silent.counts.shape == (12, 1, BINS)
    assert (silent.counts.sum(), silent.salience, silent.resultant_length, silent.effective_semitones) == (
        0.0,
        0.0,
        0.0,
        0.0,
    )
