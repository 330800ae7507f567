"""What a reader sees beside the answer must be what sounded."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.peaks import make_peaks
from tests.support.pitch_histograms import make_histogram
from worker.tuning.pitch_histogram import BINS
from worker.tuning.summary import FAINTEST_DB, POINTS, dominant_hz, histogram_of, note_of, spectrum_of


def test_the_dominant_pitch_is_the_one_with_most_power_not_the_most_frequent() -> None:
    often = [(frame, 0.0, -20.0) for frame in range(9)]
    assert dominant_hz(make_peaks([*often, (0, 1200.0, 0.0)])) == pytest.approx(880.0)


def test_a_tone_that_wavers_a_little_is_one_tone() -> None:
    """Its power between 0 and 6 cents outweighs a single peak that is stronger than either."""
    found = dominant_hz(make_peaks([(0, 0.0, -2.0), (1, 6.0, -2.0), (2, 700.0, 0.0)]))
    assert found == pytest.approx(440.0 * 2 ** (3.0 / 1200), rel=1e-5)


def test_nothing_heard_has_no_dominant_pitch() -> None:
    assert dominant_hz(make_peaks([])) is None


@pytest.mark.parametrize(
    ("hz", "name", "cents"),
    [
        (440.0, "A4", 0.0),
        (432.0, "A4", -31.77),
        (261.626, "C4", 0.0),
        (246.942, "B3", 0.0),
        (554.365, "C#5", 0.0),
        (32.703, "C1", 0.0),
        (4186.01, "C8", 0.0),
    ],
)
def test_a_pitch_has_the_name_that_musicians_call_it(hz: float, name: str, cents: float) -> None:
    found, away = note_of(hz)
    assert found == name
    assert away == pytest.approx(cents, abs=0.02)


def test_no_line_of_the_spectrum_is_lost_however_narrow() -> None:
    """High up many bins share a point, and a single one that sounds must be seen."""
    partials = make_peaks([(0, 0.0)])
    for line in range(0, 1700, 50):
        power = np.full(1700, 1e-9)
        power[line] = 1.0
        shape = spectrum_of(replace(partials, mean_power=power, first_bin=12))
        assert shape is not None
        assert len(shape.levels_db) == POINTS
        hz = shape.low_hz * (shape.high_hz / shape.low_hz) ** (int(np.argmax(shape.levels_db)) / (POINTS - 1))
        assert abs(hz - (12 + line) * partials.bin_hz) < max(partials.bin_hz, 0.006 * hz)
        # Low down a point lies between two bins and is drawn as their mean.
        assert max(shape.levels_db) > (-0.01 if line >= 200 else -6.0)


def test_the_spectrum_is_told_in_decibels_under_its_top() -> None:
    power = np.geomspace(1.0, 1e-20, 400)
    shape = spectrum_of(replace(make_peaks([(0, 0.0)]), mean_power=power, first_bin=12))
    assert shape is not None
    assert (shape.low_hz, shape.high_hz) == pytest.approx((12 * 2.7, 411 * 2.7))
    assert (shape.levels_db[0], shape.levels_db[-1]) == (0.0, FAINTEST_DB)


def test_silence_has_no_spectrum() -> None:
    assert spectrum_of(make_peaks([(0, 0.0)])) is None


def test_the_histogram_shows_a_cent_a_bar_from_half_a_semitone_below() -> None:
    bars = histogram_of(make_histogram([(0, 0, -31.5, 3.0), (7, 1, 20.5, 1.0)], width=0.1))
    assert len(bars) == 100
    assert bars[18] == pytest.approx(0.75, abs=0.01)
    assert bars[70] == pytest.approx(0.25, abs=0.01)
    assert sum(bars) == pytest.approx(1.0, abs=1e-4)


def test_without_any_tone_there_is_no_histogram() -> None:
    assert histogram_of(np.zeros((12, 1, BINS))) == ()
