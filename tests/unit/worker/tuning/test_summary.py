"""The summaries for readers."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.peaks import make_peaks
from tests.support.pitch_histograms import make_histogram
from worker.tuning.pitch_histogram import BINS
from worker.tuning.summary import (
    FAINTEST_DB,
    POINTS,
    dominant_hz,
    nearest_note,
    summarize_histogram,
    summarize_spectrum,
)


def test_the_dominant_frequency_has_the_most_power() -> None:
    often = [(frame, 0.0, -20.0) for frame in range(9)]
    assert dominant_hz(make_peaks([*often, (0, 1200.0, 0.0)])) == pytest.approx(880.0)


def test_nearby_peaks_count_as_one_tone() -> None:
    """Their power between 0 and 6 cents outweighs a single peak that is stronger than either."""
    found = dominant_hz(make_peaks([(0, 0.0, -2.0), (1, 6.0, -2.0), (2, 700.0, 0.0)]))
    assert found == pytest.approx(440.0 * 2 ** (3.0 / 1200), rel=1e-5)


def test_no_peaks_have_no_dominant_frequency() -> None:
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
def test_a_frequency_has_a_note_name_and_a_deviation(hz: float, name: str, cents: float) -> None:
    found, away = nearest_note(hz)
    assert found == name
    assert away == pytest.approx(cents, abs=0.02)


def test_narrow_lines_stay_visible_in_the_spectrum() -> None:
    """At high frequencies many bins share a point; a single loud bin must be visible."""
    partials = make_peaks([(0, 0.0)])
    for line in range(0, 1700, 50):
        power = np.full(1700, 1e-9)
        power[line] = 1.0
        shape = summarize_spectrum(replace(partials, power_spectrum=power, first_bin=12))
        assert shape is not None
        assert len(shape.levels_db) == POINTS
        hz = shape.low_hz * (shape.high_hz / shape.low_hz) ** (int(np.argmax(shape.levels_db)) / (POINTS - 1))
        assert abs(hz - (12 + line) * partials.bin_hz) < max(partials.bin_hz, 0.006 * hz)
        # Low down a point lies between two bins and is drawn as their mean.
        assert max(shape.levels_db) > (-0.01 if line >= 200 else -6.0)


def test_the_spectrum_is_in_decibels_below_its_maximum() -> None:
    power = np.geomspace(1.0, 1e-20, 400)
    shape = summarize_spectrum(replace(make_peaks([(0, 0.0)]), power_spectrum=power, first_bin=12))
    assert shape is not None
    assert (shape.low_hz, shape.high_hz) == pytest.approx((12 * 2.7, 411 * 2.7))
    assert (shape.levels_db[0], shape.levels_db[-1]) == (0.0, FAINTEST_DB)


def test_silence_has_no_spectrum() -> None:
    assert summarize_spectrum(make_peaks([(0, 0.0)])) is None


def test_the_histogram_has_one_bin_per_cent() -> None:
    bars = summarize_histogram(make_histogram([(0, 0, -31.5, 3.0), (7, 1, 20.5, 1.0)], width=0.1))
    assert len(bars) == 100
    assert bars[18] == pytest.approx(0.75, abs=0.01)
    assert bars[70] == pytest.approx(0.25, abs=0.01)
    assert sum(bars) == pytest.approx(1.0, abs=1e-4)


def test_an_empty_histogram_has_no_bins() -> None:
    assert summarize_histogram(np.zeros((12, 1, BINS))) == ()
