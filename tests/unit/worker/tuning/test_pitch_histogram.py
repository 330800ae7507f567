"""What is counted where: every weight that goes to the wrong cent moves the answer."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.harmonics import read
from worker.tuning.inharmonicity import octave_of
from worker.tuning.pitch_histogram import BINS, PitchHistogram, gather

PLACES = np.arange(BINS) / 4 - 49.875
THIRD = 1200.0 * np.log2(3)
SIXTH = 1200.0 * np.log2(6)


def gathered(
    peaks: Sequence[tuple[int, float]], *, segments: int = 1, strikes: bool = False
) -> PitchHistogram:
    return gather(read(make_peaks(peaks), strikes=strikes), np.zeros(8), segments)


def middle(counts: NDArray[np.float64]) -> float:
    return float((counts * PLACES).sum() / counts.sum())


@pytest.mark.parametrize("cents", [-49.3, -31.77, -0.05, 0.0, 0.1, 12.34, 49.7])
def test_a_tone_is_placed_exactly_where_it_lies(cents: float) -> None:
    heard = gathered([(0, cents)], strikes=True)
    assert middle(heard.placed[0, 0]) == pytest.approx(cents, abs=1e-6)
    assert middle(heard.lasting[0, 0]) == pytest.approx(cents, abs=1e-6)


@pytest.mark.parametrize("cents", [-0.2, -0.05, 0.05, 0.2])
def test_a_tone_is_counted_in_the_nearest_quarter_of_a_cent(cents: float) -> None:
    counts = gathered([(0, cents)]).counts[0, 0]
    assert np.flatnonzero(counts).tolist() == [np.abs(PLACES - cents).argmin()]


def test_a_tone_between_two_semitones_stays_in_its_pitch_class() -> None:
    """Shared out between the last bin and the first, not the next note's."""
    placed = gathered([(0, 49.99)]).placed
    assert np.flatnonzero(placed[0, 0]).tolist() == [0, BINS - 1]
    assert placed[1:].sum() == 0.0


def test_notes_of_all_octaves_are_counted_by_pitch_class() -> None:
    heard = gathered([(0, -2400.0), (1, 300.0), (2, 1500.0)])
    assert np.flatnonzero(heard.counts.sum(axis=(1, 2))).tolist() == [0, 3]


def test_a_third_partial_measures_its_fundamental_and_may_be_a_note_of_its_own() -> None:
    readings = read(make_peaks([(0, 0.0), (0, THIRD + 3.0)]))
    counts = gather(readings, np.zeros(8), 1).counts[:, 0]
    root, twelfth = readings.weight
    near = {place: float(counts[0, np.abs(PLACES - place).argmin()]) for place in (0.1, 3.1)}
    assert near[0.1] == pytest.approx(root)
    assert near[3.1] == pytest.approx(0.8 * twelfth)
    assert counts[7].sum() == pytest.approx(0.2 * twelfth)


def test_the_sixth_partial_of_a_stiff_string_measures_its_fundamental_exactly() -> None:
    """By the stretch of the fundamental's octave, not its own."""
    stretch = np.where(np.arange(8) == octave_of(np.zeros(1)), 14.0 / 35, 0.0)
    readings = read(make_peaks([(0, 0.0), (0, SIXTH + 14.0)]))
    placed = gather(readings, stretch, 1).placed[0, 0]
    assert placed[np.abs(PLACES) < 1.0].sum() == pytest.approx(placed.sum())
    assert middle(placed) == pytest.approx(0.0, abs=1e-6)


def test_every_ten_seconds_are_counted_apart_and_what_remains_with_the_last() -> None:
    counts = gathered([(0, 0.0), (99, 100.0), (101, 200.0), (250, 300.0)], segments=2).counts
    by_note = (counts.sum(axis=2) > 0.0)[:4]
    assert by_note.tolist() == [[True, False], [True, False], [False, True], [False, True]]


def test_a_tone_that_has_just_begun_tells_where_the_grid_lies_less_than_one_that_lasts() -> None:
    heard = gathered([(0, 0.0), *((frame, 700.0) for frame in range(4))])
    assert heard.counts[7].sum() > 2.0 * heard.counts[0].sum()
    settled = (heard.placed.sum(axis=(1, 2)) / np.maximum(heard.counts.sum(axis=(1, 2)), 1e-9))[[0, 7]]
    assert settled == pytest.approx([0.1, np.mean([0.1, 1 / 3, 2 / 3, 1.0])])


def test_two_windows_add_up_and_the_clearer_of_them_tells_about_vibrato() -> None:
    one, other = gathered([(0, 0.0)], strikes=True), gathered([(0, 700.0)])
    both = one + other
    for name in ("counts", "placed", "lasting", "keys"):
        assert getattr(both, name) == pytest.approx(getattr(one, name) + getattr(other, name))
    assert both.strength == one.strength + other.strength
    wavering = gathered([(frame, 9.0 * frame + side) for frame in range(4) for side in (-30.0, 30.0)])
    assert wavering.lead_share < 0.7
    assert wavering.means_agreement < 0.9
    for sum_ in (one + wavering, wavering + one):
        assert sum_.lead_share == wavering.lead_share
        assert sum_.means_agreement == one.means_agreement


def test_the_tones_agreement_is_how_alike_they_lie() -> None:
    assert gathered([(0, 10.0), (1, 710.0), (2, -590.0)]).agreement == pytest.approx(1.0)
    assert gathered([(0, 0.0), (1, 50.0)]).agreement < 0.02
    assert gathered([(0, 0.0), (1, 25.0)]).agreement == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_octaves_are_other_notes_of_the_same_pitch_class() -> None:
    heard = gathered([(0, 0.0), (1, 1200.0)])
    assert heard.notes == pytest.approx(2.0, abs=0.1)
    assert heard.pitch_classes == pytest.approx(1.0)


def test_overtones_that_lie_off_the_grid_hardly_disturb_the_agreement() -> None:
    """The seventh lies 31 cents under a note."""
    readings = read(make_peaks([(0, 0.0), (0, 1200.0 * np.log2(7))]))
    plain = gather(readings, np.zeros(8), 1).keys[1].real
    assert plain[[69, 103]] == pytest.approx(readings.weight * [1.0, 0.05])


def test_rests_do_not_weaken_what_sounds() -> None:
    assert gathered([(0, 0.0), (90, 0.0)]).strength == pytest.approx(gathered([(0, 0.0), (1, 0.0)]).strength)


def test_nothing_heard_is_no_evidence() -> None:
    silent = gathered([])
    assert silent.counts.shape == (12, 1, BINS)
    assert (silent.counts.sum(), silent.strength, silent.agreement, silent.notes) == (0.0, 0.0, 0.0, 0.0)
